"""Accounts as a driver: one, several or all of them, by user and token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from tests.broker.whole import Whole

from nimbi.driver.compute import Instances
from nimbi.driver.interface import Driver, UserAndPassword
from nimbi.drivers.mock import driver_over
from nimbi.drivers.mock.buckets import MockBuckets
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.faults import Faults, Outage, ShortPage
from nimbi.frontends.deltacloud.app import DeltacloudApp
from nimbi.gateway.cloud import Cloud
from nimbi.model.accounts import AccountChange, NewAccount
from nimbi.model.addresses import NewAddress
from nimbi.model.buckets import NewBlob, NewBucket
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import (
    CloudUnavailable,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    Unsupported,
)
from nimbi.model.instances import InstanceFilter, InstanceState, NewInstance
from nimbi.model.keys import NewKey
from nimbi.model.networks import NewNetwork, NewSubnet
from nimbi.model.tokens import Scope
from nimbi.model.volumes import NewVolume, VolumeTarget


@asynccontextmanager
async def opened(
    whole: Whole, provider: str | None, login: UserAndPassword | None = None
) -> AsyncIterator[Cloud]:
    login = login or await whole.login()
    async with whole.broker.clouds.use("nimbi", provider, login) as cloud:
        yield cloud


async def ids(cloud: Cloud, **more: object) -> list[str]:
    return [each.id async for each in cloud.each(Instances.page, **more)]  # type: ignore[arg-type]


@pytest.fixture
async def two(whole: Whole) -> Whole:
    await whole.add("aws", "home")
    return whole


async def test_one_account_is_shown_as_it_is(two: Whole) -> None:
    async with opened(two, "aws") as cloud, two.broker.accounts.use("aws") as own:
        assert await ids(cloud) == await ids(own)
        assert cloud.operations == own.operations
        assert cloud.instance_states == own.instance_states
        assert cloud.features(Instances) == own.features(Instances)
        made = await cloud.instances.create(NewInstance(image_id="img1", name="web"))
        assert (await own.instances.get(made.id)).name == "web"


async def test_an_account_is_known_by_what_its_own_cloud_can_do(whole: Whole) -> None:
    cloud = MockCloud()
    whole.stack.callback(cloud.close)
    store: Driver[object, object] = replace(
        driver_over(cloud), name="store", collections=(MockBuckets,)
    )
    whole.broker.registry.add(store)
    new = NewAccount(
        id="store", driver="store", credentials={"user": "mockuser", "password": "mockpassword"}
    )
    await whole.broker.accounts.create(new)
    async with opened(whole, "store") as found:
        assert {id.partition(".")[0] for id in found.operations} == {"buckets"}
    await whole.add("aws")
    async with opened(whole, "all") as everything:
        assert all(id.startswith("aws:") for id in await ids(everything))


async def test_all_accounts_are_one_list_whose_ids_tell_the_account(two: Whole) -> None:
    async with opened(two, "all") as cloud, two.broker.accounts.use("home") as own:
        found = await ids(cloud)
        assert [id for id in found if id.startswith("home:")] == [
            f"home:{id}" for id in await ids(own)
        ]
        assert [id.partition(":")[0] for id in found] == sorted(
            id.partition(":")[0] for id in found
        )
        thing = await cloud.instances.get("home:inst0")
        assert thing.image_id == "home:img1"
        assert thing.realm_id is not None
        assert (await cloud.realms.get(thing.realm_id)).id == thing.realm_id
        assert (await cloud.images.get("home:img1")).id == "home:img1"


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 1000])
async def test_pages_of_any_size_make_the_same_list(two: Whole, limit: int) -> None:
    two.clouds["home"].faults = Faults(short_page=ShortPage(size=2))
    async with opened(two, None) as cloud:
        assert await ids(cloud, limit=limit) == await ids(cloud)
        assert len(await ids(cloud, limit=limit)) == len(set(await ids(cloud)))


@pytest.mark.parametrize("marker", ["", "x", "Aws:", "aws:garbage", "\0:"])
async def test_a_marker_that_was_never_given_is_refused(two: Whole, marker: str) -> None:
    async with opened(two, None) as cloud:
        with pytest.raises(Invalid):
            await cloud.instances.page(marker, 10)


async def test_a_thing_is_made_in_the_account_that_its_wish_refers_to(two: Whole) -> None:
    async with opened(two, "all") as cloud, two.broker.accounts.use("home") as own:
        made = await cloud.instances.create(
            NewInstance(
                image_id="home:img1", realm_id="home:us", hardware_profile_id="home:m1-small"
            )
        )
        assert made.id.startswith("home:")
        assert made.state is InstanceState.RUNNING
        volume = await cloud.volumes.create(NewVolume(size_gib=1, realm_id="home:us"))
        attached = await cloud.volumes.attach(
            volume.id, VolumeTarget(instance_id=made.id, device="/dev/sdb")
        )
        assert attached.instance_id == made.id
        plain = await own.instances.get(made.id.removeprefix("home:"))
        assert f"home:{plain.volumes[0].volume_id}" == volume.id
        seen = await cloud.instances.get(made.id)
        assert seen.volumes[0].volume_id == volume.id
        await cloud.instances.stop(made.id)
        assert (await own.instances.get(plain.id)).state is InstanceState.STOPPED


async def test_a_wish_that_refers_to_nothing_has_the_account_before_its_name(two: Whole) -> None:
    async with opened(two, "all") as cloud:
        assert (await cloud.keys.create(NewKey(name="aws:mine"))).id == "aws:mine"
        network = await cloud.networks.create(
            NewNetwork(name="home:net", address_block="10.9.0.0/16")
        )
        subnet = await cloud.subnets.create(
            NewSubnet(network_id=network.id, address_block="10.9.1.0/24")
        )
        assert subnet.network_id == network.id
        for wish in (cloud.keys.create(NewKey(name="mine")), cloud.addresses.create(NewAddress())):
            with pytest.raises(Invalid, match="which account is it for"):
                await wish
        with pytest.raises(NotFound, match="no account 'nowhere'"):
            await cloud.keys.create(NewKey(name="nowhere:mine"))


async def test_things_of_two_accounts_do_not_go_together(two: Whole) -> None:
    async with opened(two, "all") as cloud:
        with pytest.raises(Invalid, match="two accounts: home and aws"):
            await cloud.instances.create(NewInstance(image_id="home:img1", realm_id="aws:us"))
        for id in ("inst0", "nowhere:inst0", ":inst0", "home:none"):
            with pytest.raises(NotFound):
                await cloud.instances.get(id)


async def test_a_filter_by_a_thing_asks_its_account_alone(two: Whole) -> None:
    two.clouds["aws"].faults = Faults(outage=Outage())
    async with opened(two, "all") as cloud:
        where = InstanceFilter(realm_id="home:us")
        found = (await cloud.instances.page(None, 100, where)).items
        assert found
        assert all(each.realm_id == "home:us" for each in found)


async def test_blobs_go_through_with_their_own_names(two: Whole) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"abc"

    async with opened(two, "all") as cloud:
        bucket = await cloud.buckets.create(NewBucket(name="home:photos"))
        new = NewBlob(bucket_id=bucket.id, id="a:b/c", size_bytes=3)
        await cloud.blobs.write(new, chunks())
        content = await cloud.blobs.read(bucket.id, "a:b/c")
        assert b"".join([chunk async for chunk in content.chunks]) == b"abc"
        assert (content.blob.id, content.blob.bucket_id) == ("a:b/c", bucket.id)
        page = await cloud.blobs.page(bucket.id, None, 10)
        assert [(blob.bucket_id, blob.id) for blob in page.items] == [(bucket.id, "a:b/c")]
        await cloud.blobs.destroy(bucket.id, "a:b/c")
        await cloud.buckets.destroy(bucket.id)


async def test_a_console_stays_open_after_its_call(two: Whole) -> None:
    async with opened(two, "all") as cloud:
        running = InstanceFilter(state=None)
        (first, *_) = (await cloud.instances.page(None, 10, running)).items
        console = await cloud.instances.open_console(first.id, ConsoleKind.SERIAL)
        assert await console.read()
        await console.aclose()


async def test_a_list_with_a_failing_account_is_an_error_that_names_it(two: Whole) -> None:
    two.clouds["aws"].faults = Faults(outage=Outage())
    async with opened(two, "all") as cloud:
        with pytest.raises(CloudUnavailable, match=r"account aws: .*disable"):
            await cloud.instances.page(None, 10)
        await two.broker.accounts.change("aws", AccountChange(is_enabled=False))
        assert await ids(cloud)
    async with opened(two, "home") as cloud:
        assert await ids(cloud)
    async with opened(two, "home,aws") as cloud:
        with pytest.raises(Conflict, match="is disabled"):
            await cloud.instances.page(None, 10)


async def test_a_login_that_an_account_has_no_more_is_not_the_callers(two: Whole) -> None:
    wrong = AccountChange(credentials={"user": "x", "password": "y"})
    await two.broker.accounts.change("aws", wrong, test=False)
    with pytest.raises(Forbidden, match="account aws: its cloud refuses the stored login"):
        async with opened(two, "aws"):
            pass
    async with opened(two, "all") as cloud:
        with pytest.raises(Forbidden, match="account aws"):
            await cloud.instances.page(None, 10)


async def test_a_token_does_what_its_scopes_say(two: Whole) -> None:
    reader = await two.login(Scope("read", "home"))
    async with opened(two, "all", reader) as cloud:
        found = await ids(cloud)
        assert found
        assert all(id.startswith("home:") for id in found)
        with pytest.raises(Forbidden, match="may not do"):
            await cloud.instances.stop("home:inst0")
        with pytest.raises(Forbidden):
            await cloud.instances.get("aws:inst0")
        assert "aws" not in cloud.entrypoints["account"]
    with pytest.raises((NotFound, Forbidden)):
        async with opened(two, "aws", reader):
            pass


async def test_a_wrong_token_opens_nothing_and_none_shows_what_all_may_see(two: Whole) -> None:
    with pytest.raises(Unauthorized):
        async with opened(two, "all", UserAndPassword("admin", "nimbi_wrong")):
            pass
    async with two.broker.clouds.use("nimbi", "all", None) as cloud:
        assert cloud.supports(Instances.create)
        assert "account" not in cloud.entrypoints
        with pytest.raises(Unauthorized):
            await cloud.instances.page(None, 10)


async def test_a_token_revoked_meanwhile_does_nothing_more(two: Whole) -> None:
    login = await two.login()
    async with opened(two, "all", login) as cloud:
        await cloud.instances.page(None, 10)
        (token,) = await two.broker.people.tokens()
        await two.broker.people.revoke(token.id)
        with pytest.raises(Unauthorized):
            await cloud.instances.page(None, 10)


async def test_a_feature_that_one_account_lacks_is_refused_there(two: Whole) -> None:
    async with opened(two, "aws") as cloud:
        with pytest.raises(Unsupported):
            await cloud.instances.create(NewInstance(image_id="img1", spot=True))


async def test_a_client_of_deltacloud_sees_accounts_as_providers(two: Whole) -> None:
    registry, clouds = two.broker.registry, two.broker.clouds
    app = DeltacloudApp(clouds, registry, "nimbi")
    login = await two.login()
    auth = (login.user, login.password)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://h", auth=auth, headers={"accept": "application/json"}
    ) as http:
        listed = (await http.get("/api/instances")).json()["instances"]
        found = [each["id"] for each in listed]
        assert {id.partition(":")[0] for id in found} == {"aws", "home"}
        one = await http.get(f"/api/instances/{found[-1]}")
        assert one.json()["instance"]["image"]["id"].startswith("home:")
        made = await http.post("/api/instances", data={"image_id": "aws:img1", "name": "x"})
        assert made.status_code == 201
        id = made.json()["instance"]["id"]
        assert id.startswith("aws:")
        assert (await http.post(f"/api/instances/{id}/stop")).status_code == 202
        by_provider = await http.get("/api;provider=home/instances")
        assert [each["id"] for each in by_provider.json()["instances"]] == [
            id.removeprefix("home:") for id in found if id.startswith("home:")
        ]
        drivers = (await http.get("/api/drivers/nimbi")).json()
        assert "aws" in str(drivers)
        wrong = await http.get("/api/instances", auth=("admin", "nimbi_wrong"))
        assert wrong.status_code == 401
        two.clouds["aws"].faults = Faults(outage=Outage())
        failed = await http.get("/api/instances")
        assert failed.status_code in {502, 503, 504}
        assert "account aws" in failed.text
