"""Hardware profiles are the instance types of a region."""

from pathlib import Path

import pytest
from aiohttp import web
from tests.drivers.ec2.answers import clouds, profile, profiles
from tests.drivers.ec2.services import Asked, good

from nimbi.driver.compute import HardwareProfiles
from nimbi.model.errors import NotFound
from nimbi.model.hardware_profiles import Enum, Fixed, Sizes

GPUS = (
    "<gpuInfo><gpus><item><name>T4</name><manufacturer>NVIDIA</manufacturer>"
    "<count>4</count></item></gpus></gpuInfo>"
)
STORAGE = "<instanceStorageInfo><totalSizeInGB>900</totalSizeInGB></instanceStorageInfo>"
PAGES = {
    None: profiles(
        profile("a1.large", architectures=("arm64",)),
        profile("m1.small", current=False),
        profile("g4dn.12xlarge", 48, 196608, more=GPUS + STORAGE),
        token="more",
    ),
    "more": profiles(
        profile("m5.large", memory_mib=8192),
        profile("t3.micro"),
        profile("c3.large", current=False, architectures=("i386", "x86_64")),
    ),
}


def types(asked: Asked) -> web.Response:
    assert asked.form["Action"] == "DescribeInstanceTypes"
    return good(PAGES[asked.form.get("NextToken")])


async def test_all_pages_are_read_and_a_small_usual_type_is_first(tmp_path: Path) -> None:
    async with clouds(types, tmp_path) as (cloud, _):
        found = [p.id async for p in cloud.each(HardwareProfiles.page, limit=2)]
    assert found == ["t3.micro", "m1.small", "m5.large", "g4dn.12xlarge", "a1.large", "c3.large"]


async def test_they_are_asked_for_once_and_tell_when(tmp_path: Path) -> None:
    async with clouds(types, tmp_path) as (cloud, aws):
        first = await cloud.hardware_profiles.get("m5.large")
        again = await cloud.hardware_profiles.get("m5.large")
    assert aws.actions == ["DescribeInstanceTypes"] * 2
    assert first.extra["fetched_at"] == again.extra["fetched_at"]


async def test_a_profile_tells_its_processors_storage_and_accelerators(tmp_path: Path) -> None:
    async with clouds(types, tmp_path) as (cloud, _):
        found = await cloud.hardware_profiles.get("g4dn.12xlarge")
        old = await cloud.hardware_profiles.get("c3.large")
    assert (found.cpus, found.memory_mib, found.gpus) == (Fixed(48), Fixed(196608), Fixed(4))
    assert found.storage_gib == Fixed(838.2)
    assert found.root_type == Fixed("persistent")
    assert found.extra["gpus"] == ["NVIDIA T4"]
    assert old.architecture == Enum(("i386", "x86_64"), "x86_64")
    old.check(Sizes(architecture="i386"))


async def test_a_type_of_another_region_is_not_found(tmp_path: Path) -> None:
    async with clouds(types, tmp_path) as (cloud, _):
        with pytest.raises(NotFound):
            await cloud.hardware_profiles.get("u7i-12tb.224xlarge")
