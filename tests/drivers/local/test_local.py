"""What only the local cloud does."""

import asyncio
import os
import urllib.request
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from nimbi.driver.interface import Place, UserAndPassword
from nimbi.drivers.local import DRIVER
from nimbi.drivers.local.instances import STATES
from nimbi.drivers.local.keys import key_id
from nimbi.drivers.local.login import own_login
from nimbi.drivers.local.session import ERRORS, to_error
from nimbi.drivertest import opened
from nimbi.drivertest.moves import brought
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import (
    CloudUnavailable,
    Conflict,
    Invalid,
    NotFound,
    OutOfCapacity,
    Unauthorized,
)
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import Command, InstanceState, NewInstance
from nimbi.model.keys import NewKey
from nimbi.qemu import QemuError, State


def test_every_error_of_the_hypervisor_is_sorted():
    kinds = QemuError.__subclasses__()
    assert {kind.code for kind in kinds} == set(ERRORS)
    assert to_error(ValueError()) is None
    assert isinstance(to_error(OSError(28, "full")), OutOfCapacity)
    assert to_error(OSError(9999, "?")) is None


def test_every_state_of_a_guest_is_one_of_the_machine():
    assert {state.value for state in State} <= {state.value for state in STATES.states}


def test_the_login_is_made_up_once_and_kept_for_the_owner_only(tmp_path: Path):
    place = Place(tmp_path / "local")
    login = own_login(None, place)
    assert own_login(None, place) == login
    assert len(login.password) >= 16
    assert (place.state_dir / "login.json").stat().st_mode & 0o777 == 0o600
    assert place.state_dir.stat().st_mode & 0o777 == 0o700
    assert login.password not in repr(login)


def test_the_environment_names_the_login(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("NIMBI_LOCAL_USER", "ada")
    monkeypatch.setenv("NIMBI_LOCAL_PASSWORD", "pässword")
    assert own_login(None, Place(tmp_path)) == UserAndPassword("ada", "pässword")


def test_a_damaged_login_file_is_told(tmp_path: Path):
    (tmp_path / "login.json").write_text("{")
    with pytest.raises(CloudUnavailable):
        own_login(None, Place(tmp_path))


@pytest.mark.parametrize("login", [("local", ""), ("", "x"), ("löcal", "é"), ("local", "x")])
async def test_a_wrong_login_is_refused(tmp_path: Path, login):
    with pytest.raises(Unauthorized):
        async with opened(DRIVER, tmp_path, credentials=UserAndPassword(*login)) as cloud:
            await cloud.realms.page(None, 1)


async def test_without_a_login_only_hardware_profiles_are_shown(tmp_path: Path):
    async with opened(DRIVER, tmp_path) as cloud:
        assert len((await cloud.hardware_profiles.page(None, 10)).items) == 3
        for listing in (cloud.realms, cloud.images, cloud.instances, cloud.keys):
            with pytest.raises(Unauthorized):
                await listing.page(None, 1)


async def test_without_qemu_the_package_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    login = own_login(None, Place(tmp_path / "local"))
    # One try: what is missing does not come by asking again.
    settings = {"calls": {"attempts": 1}}
    async with opened(DRIVER, tmp_path, credentials=login, settings=settings) as cloud:
        assert not (await cloud.instances.page(None, 1)).items
        with pytest.raises(CloudUnavailable, match=r"apt install .*busybox-static"):
            await cloud.images.page(None, 1)
        with pytest.raises(CloudUnavailable, match="apt install qemu-system-x86"):
            await cloud.instances.create(NewInstance(image_id="img-1"))


@pytest.mark.guest
async def test_the_reported_address_serves_the_page(cloud: Cloud, shared_guest):
    instance = await brought(cloud, shared_guest.id, InstanceState.RUNNING, 120)
    (endpoint,) = instance.public_addresses
    url = f"http://{endpoint.address}:{endpoint.port}/"

    def fetch() -> str:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.read().decode()

    page = await asyncio.to_thread(fetch)
    assert "for &lt;all&gt;" in page
    assert instance.id in page
    assert b"nimbi: ready" in await cloud.instances.console(instance.id)


@pytest.mark.guest
async def test_a_command_runs_as_root_with_both_outputs_in_order(cloud: Cloud, shared_guest):
    await brought(cloud, shared_guest.id, InstanceState.RUNNING, 120)
    line = "id -un; echo b >&2; echo c; exit 3"
    command = Command(line=line, private_key=shared_guest.private_key)
    ended = await cloud.instances.run(shared_guest.id, command)
    assert (ended.output, ended.exit_status) == ("root\nb\nc\n", 3)


@pytest.mark.guest
@pytest.mark.parametrize(
    "change", [{"private_key": None}, {"address": "192.0.2.1"}, {"port": 1}], ids=str
)
async def test_a_command_goes_to_the_guest_itself_and_nowhere_else(
    cloud: Cloud, shared_guest, change
):
    await brought(cloud, shared_guest.id, InstanceState.RUNNING, 120)
    asked = {"line": "true", "private_key": shared_guest.private_key, **change}
    with pytest.raises(Invalid):
        await cloud.instances.run(shared_guest.id, Command(**asked))


@pytest.mark.guest
async def test_many_that_do_not_all_fit_leave_none(cloud: Cloud, shared_guest):
    before = await cloud.instances.page(None, 1000)
    new = NewInstance(
        image_id=before.items[0].image_id or "",
        hardware_profile_id="custom",
        sizes=Sizes(cpus=os.cpu_count(), storage_gib=64),
    )
    with pytest.raises(OutOfCapacity):
        await cloud.instances.create_many(new, 100)
    after = await cloud.instances.page(None, 1000)
    assert [i.id for i in after.items] == [i.id for i in before.items]


@pytest.mark.guest
async def test_a_fraction_of_a_processor_is_invalid(cloud: Cloud, shared_guest):
    image_id = (await cloud.instances.get(shared_guest.id)).image_id or ""
    sizes = Sizes(memory_mib=128.5)
    new = NewInstance(image_id=image_id, hardware_profile_id="custom", sizes=sizes)
    with pytest.raises(Invalid):
        await cloud.instances.create(new)


def public_half(private_key: str) -> str:
    loaded = serialization.load_ssh_private_key(private_key.encode(), None)
    form = serialization.PublicFormat.OpenSSH
    return loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()


async def test_the_same_token_tells_the_same_private_key_again(cloud: Cloud):
    new = NewKey(name="Schlüssel / 1", token="t-1")
    first, second = await cloud.keys.create(new), await cloud.keys.create(new)
    assert first.private_key
    assert second.private_key
    assert first.public_key == second.public_key
    assert public_half(first.private_key) == public_half(second.private_key) == first.public_key
    assert first.id == key_id(new.name)
    with pytest.raises(Conflict):
        await cloud.keys.create(NewKey(name="Schlüssel / 1", token="t-2"))
    await cloud.keys.destroy(first.id)
    with pytest.raises(NotFound):
        await cloud.keys.get(first.id)
