"""Which addresses accounts may name."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from nimbi.broker.destinations import Destinations
from nimbi.drivers.ec2 import DRIVER as EC2
from nimbi.drivers.eucalyptus import DRIVER as EUCALYPTUS
from nimbi.drivers.openstack import DRIVER as OPENSTACK
from nimbi.drivers.rackspace import DRIVER as RACKSPACE
from nimbi.drivers.s3 import DRIVER as S3
from nimbi.gateway.clouds import Clouds, credentials_from_basic
from nimbi.gateway.registry import AnyDriver, Registry
from nimbi.model.errors import CloudUnavailable, Forbidden, Invalid
from nimbi.wire.destinations import Reach

NAMES: Mapping[str, tuple[str, ...]] = {
    "cloud.example": ("93.184.216.34",),
    "inside.example": ("10.0.0.5",),
    "both.example": ("93.184.216.34", "127.0.0.1"),
    "metadata.example": ("169.254.169.254",),
    "none.example": (),
}
ONCE = {"calls": {"attempts": 1}}


async def resolve(host: str, _port: int) -> tuple[str, ...]:
    try:
        return NAMES[host]
    except KeyError:
        raise OSError("no such host") from None


def destinations(*, private: bool = False) -> Destinations:
    return Destinations(private=private, resolve=resolve)


@pytest.mark.parametrize(
    ("driver", "provider"),
    [
        (S3, "endpoint=http://{};region=x;addressing=path"),
        (S3, "{}:9000"),
        (EUCALYPTUS, "ec2=cloud.example;s3={}:80"),
        (EUCALYPTUS, "ec2=https://{}/services"),
        (OPENSTACK, "https://{}:5000/v3;RegionOne"),
        (RACKSPACE, "http://{}"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
async def test_a_provider_may_name_what_the_operator_allows(
    driver: AnyDriver, provider: str
) -> None:
    async def check(host: str, *, private: bool = False) -> None:
        found = destinations(private=private)
        await found.check_provider(driver, provider.format(host), own_login=False)

    await check("cloud.example")
    await check("inside.example", private=True)
    for host in ("inside.example", "both.example", "none.example"):
        with pytest.raises(Forbidden, match="private_endpoints"):
            await check(host)
    for private in (False, True):
        with pytest.raises(Forbidden, match="tells a machine its secrets"):
            await check("metadata.example", private=private)
    with pytest.raises(Invalid, match=r"there is no host unknown\.example"):
        await check("unknown.example")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://cloud.example",
        "https://",
        "cloud.example",
        "http://me:pw@cloud.example",
        "http://[",
        "",
    ],
)
async def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        await destinations().check_url(url)
    assert "pw" not in str(refused.value)


async def test_what_a_machine_resolves_is_found_before_it_is_refused() -> None:
    for host in ("127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
        with pytest.raises(Forbidden):
            await Destinations(private=False).check_url(f"http://{host}/")


def test_only_an_address_that_an_account_names_itself_is_not_trusted() -> None:
    found = destinations()
    assert found.reach_of(S3, "https://cloud.example", own_login=False) is Reach.PUBLIC
    assert found.reach_of(EC2, "eu-west-1", own_login=False) is Reach.ANYWHERE
    assert found.reach_of(OPENSTACK, "RegionOne", own_login=False) is Reach.ANYWHERE
    assert found.reach_of(OPENSTACK, None, own_login=False) is Reach.ANYWHERE
    near = destinations(private=True)
    assert near.reach_of(S3, "https://cloud.example", own_login=False) is Reach.PRIVATE


async def test_the_login_of_the_server_is_for_nobodys_own_address() -> None:
    with pytest.raises(Forbidden, match="login of this machine"):
        await destinations().check_provider(S3, "https://cloud.example", own_login=True)
    await destinations(private=True).check_provider(S3, "https://cloud.example", own_login=True)
    await destinations().check_provider(EC2, "eu-west-1", own_login=True)


@pytest.mark.parametrize(
    ("driver", "provider"),
    [
        (S3, "http://127.0.0.1:9;region=x"),
        (EUCALYPTUS, "ec2=127.0.0.1:9"),
        (OPENSTACK, "http://127.0.0.1:9/v3"),
        (RACKSPACE, "http://127.0.0.1:9"),
    ],
    ids=lambda value: getattr(value, "name", "at"),
)
async def test_every_driver_keeps_its_connections_within_reach(
    driver: AnyDriver, provider: str, tmp_path: Path
) -> None:
    clouds = Clouds(Registry({driver.name: driver}), {driver.name: ONCE}, tmp_path)
    login = credentials_from_basic(driver, "user+project", "password")

    async def refusal(reach: Reach) -> str:
        with pytest.raises(CloudUnavailable) as refused:
            async with clouds.use(driver.name, provider, login, reach) as cloud:
                await cloud.verify()
        return str(refused.value)

    # Nobody listens there, which is another refusal.
    assert "may not be called" not in await refusal(Reach.ANYWHERE)
    assert "may not be called" in await refusal(Reach.PUBLIC)
    await clouds.aclose()
