"""The driver under faults on the way to the real services, and what the cloud holds in the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from openstack.connection import Connection
from tests.drivers.openstack.conftest import login
from tests.drivers.openstack.launching import Launching
from tests.targets.exchange import Asked, Handler, Reply, forwarding
from tests.targets.openstack.projects import Project, quiet
from tests.targets.openstack.settings import PORTS
from tests.targets.proxy import Proxy, Spoiler, cut_in_body, lost, proxied, reset_unread, unheard

from nimbi import drivertest as conformance
from nimbi.driver.compute import Instances, Keys
from nimbi.drivers.openstack import DRIVER
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.moves import rested
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import CloudUnavailable, Unauthorized
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.keys import NewKey

LOGINS, KEYS = "POST /v3/auth/tokens", "GET /v2.1/os-keypairs"
SERVERS = "GET /v2.1/servers/detail"
VOLUMES = "GET /v3/*/volumes/detail"

# What the operations of the suite's tests ask the services for.
ACTIONS: Mapping[str, str] = {
    "*": "*",
    "volumes.create": "POST /v3/*/volumes",
    "volumes.page": VOLUMES,
    "volumes.destroy": "DELETE /v3/*/volumes/*",
    "instances.create": "POST /v2.1/servers",
    "instances.stop": "POST /v2.1/servers/*/action",
    "blobs.write": "PUT /v1/*/*/*",
}


def told(status: int, code: str, retry_after: str | None = None) -> Spoiler:
    """Answer with an error as Nova and Cinder write it, and do nothing."""
    headers = {"content-type": "application/json"}
    if retry_after is not None:
        headers["retry-after"] = retry_after
    body = {code: {"code": status, "message": "Told by the proxy."}}

    async def spoil(_asked: Asked, _carry_out: Handler) -> Reply:
        return Reply(status, json.dumps(body).encode(), headers)

    return spoil


def expiring(passing: int = 0) -> Spoiler:
    """Refuse the token of the first request from now on, after `passing` of them went well."""
    old: list[str] = []
    seen = 0

    async def spoil(asked: Asked, carry_out: Handler) -> Reply:
        nonlocal seen
        seen += 1
        old[:] = old or [asked.headers["x-auth-token"]]
        if seen > passing and asked.headers["x-auth-token"] == old[0]:
            return await told(401, "unauthorized")(asked, carry_out)
        return await carry_out(asked)

    return spoil


@dataclass
class Way:
    """A cloud behind a proxy for each service."""

    cloud: Cloud
    keystone: Proxy
    nova: Proxy
    cinder: Proxy
    swift: Proxy

    @property
    def services(self) -> tuple[Proxy, ...]:
        return self.nova, self.cinder, self.swift

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        return self.keystone, *self.services


@pytest.fixture
async def way(project: Project, target: str, tmp_path: Path) -> AsyncIterator[Way]:
    async with AsyncExitStack() as stack:

        async def before(url: str) -> tuple[str, Proxy]:
            return await stack.enter_async_context(
                proxied(await stack.enter_async_context(forwarding(url)))
            )

        door, identity = await before(target.removesuffix("/v3"))
        compute, nova = await before(f"http://127.0.0.1:{PORTS['nova']}")
        volume, cinder = await before(f"http://127.0.0.1:{PORTS['cinder']}")
        objects, swift = await before(f"http://127.0.0.1:{PORTS['swift']}")
        urls = {
            "compute": f"{compute}/v2.1",
            "volume": f"{volume}/v3/{project.id}",
            "object-store": f"{objects}/v1/AUTH_{project.id}",
        }
        settings = {"endpoint_urls": urls, "calls": {"backoff_s": 0.001}}
        cloud = await stack.enter_async_context(
            conformance.opened(
                DRIVER,
                tmp_path / "behind",
                credentials=login(project),
                provider=f"{door}/v3",
                settings=settings,
            )
        )
        yield Way(cloud, identity, nova, cinder, swift)


class Switch:
    """The faults of the proxies in the words of the suite."""

    def __init__(self, way: Way, admin: Connection, project: Project) -> None:
        self._way = way
        self._admin = admin
        self._project = project
        self._limited = False

    def throttle(self, operation: str, calls: int | None, retry_after_s: float) -> None:
        self._spoil(operation, told(429, "overLimit", f"{retry_after_s:.0f}"), calls)

    def lose_reply(self, operation: str, calls: int | None) -> None:
        self._spoil(operation, lost, calls)

    def outage(self, operation: str, calls: int | None) -> None:
        self._spoil(operation, told(503, "serviceUnavailable"), calls)

    def delay(self, operation: str, seconds: float) -> None:
        self._spoil(operation, unheard, None)

    def shorten_pages(self, size: int) -> None:
        async def fewer(asked: Asked, carry_out: Handler) -> Reply:
            parts = urlsplit(asked.target)
            query = dict(parse_qsl(parts.query, keep_blank_values=True)) | {"limit": str(size)}
            return await carry_out(replace(asked, target=f"{parts.path}?{urlencode(query)}"))

        self._spoil("volumes.page", fewer, None)

    def age_lists(self, changes: int) -> None:
        """Leave what is made from now on out of the lists of servers."""
        young: set[str] = set()

        async def noted(asked: Asked, carry_out: Handler) -> Reply:
            reply = await carry_out(asked)
            young.add(json.loads(reply.body)["server"]["id"])
            return reply

        async def aged(asked: Asked, carry_out: Handler) -> Reply:
            reply = await carry_out(asked)
            body = json.loads(reply.body)
            body["servers"] = [each for each in body["servers"] if each["id"] not in young]
            return replace(reply, body=json.dumps(body).encode())

        self._spoil("instances.create", noted, None)
        self._way.nova.spoil(SERVERS, aged, None)

    def out_of_capacity(self) -> None:
        pytest.skip("Nova tells it later, of the instance that found no place")

    def quota(self, instances: int) -> None:
        """Set the real quota of the project."""
        self._limit(instances)
        self._limited = True

    def mend(self) -> None:
        for proxy in self._way.proxies:
            proxy.mend()
        if self._limited:
            self._limit(50)

    def _limit(self, instances: int) -> None:
        with quiet():
            self._admin.set_compute_quotas(self._project.id, instances=instances)

    def _spoil(self, operation: str, spoil: Spoiler, calls: int | None) -> None:
        for proxy in self._way.services:
            proxy.spoil(ACTIONS[operation], spoil, calls)


class TestFaults(Launching, conformance.ConformsUnderFaults):
    @pytest.fixture
    async def cloud(self, way: Way) -> Cloud:
        return way.cloud

    @pytest.fixture
    def faults(self, made: Made, way: Way, admin: Connection, project: Project) -> Iterator[Switch]:
        switch = Switch(way, admin, project)
        yield switch
        switch.mend()

    @pytest.fixture
    async def instance(self, cloud: Cloud, made: Made, new_instance: NewInstance) -> Instance:
        """One of its own: a reply to its stop will be lost."""
        new = await made.create(Instances, new_instance)
        return await rested(cloud, new.id, self.patience_s)


@pytest.fixture
async def three_keys(way: Way) -> AsyncIterator[list[str]]:
    """Make three keys, and give their ids in the order of the list."""
    made = Made(way.cloud, 30.0)
    for _ in range(3):
        await made.create(Keys, NewKey(name=fresh_name()))
    try:
        yield [key.id async for key in way.cloud.each(Keys.page)]
    finally:
        for proxy in way.proxies:
            proxy.mend()
        await made.clear()


def logins(way: Way) -> int:
    return way.keystone.seen.count(LOGINS)


async def test_a_token_that_expires_in_mid_list_is_renewed_and_nothing_is_lost(
    way: Way, three_keys: list[str]
) -> None:
    before = logins(way)
    way.nova.spoil(KEYS, expiring(passing=1), calls=None)
    assert [key.id async for key in way.cloud.each(Keys.page, limit=1)] == three_keys
    assert logins(way) == before + 1


async def test_a_token_is_renewed_once_for_many_who_wait(way: Way, three_keys: list[str]) -> None:
    before = logins(way)
    way.nova.spoil("GET /v2.1/os-keypairs/*", expiring(), calls=None)
    calls = (way.cloud.call(Keys.get, three_keys[at % 3]) for at in range(8))
    found = await asyncio.gather(*calls)
    assert [key.id for key in found] == [three_keys[at % 3] for at in range(8)]
    assert logins(way) == before + 1


async def test_a_token_that_is_refused_again_is_told(way: Way, three_keys: list[str]) -> None:
    way.nova.spoil(KEYS, told(401, "unauthorized"), calls=None)
    with pytest.raises(Unauthorized):
        await way.cloud.call(Keys.page, None, 10)


@pytest.mark.parametrize(
    "spoil",
    [
        told(429, "overLimit"),
        told(429, "overLimit", "0"),
        told(429, "tooManyRequests", "Wed, 21 Oct 2015 07:28:00 GMT"),
        told(500, "computeFault"),
        told(502, "badGateway"),
        told(503, "serviceUnavailable"),
        told(504, "gatewayTimeout"),
        reset_unread,
        cut_in_body,
    ],
    ids=["429", "429 at once", "429 with a past", "500", "502", "503", "504", "reset", "cut"],
)
@pytest.mark.parametrize("at", ["nova", "keystone"])
async def test_a_short_trouble_is_not_noticed(
    way: Way, three_keys: list[str], spoil: Spoiler, at: str
) -> None:
    if at == "keystone":
        way.nova.spoil(KEYS, told(401, "unauthorized"), calls=1)  # a new token is needed
        way.keystone.spoil(LOGINS, spoil, calls=1)
    else:
        way.nova.spoil(KEYS, spoil, calls=1)
    assert [key.id async for key in way.cloud.each(Keys.page)] == three_keys


async def test_a_keystone_that_is_gone_is_told(way: Way, three_keys: list[str]) -> None:
    way.nova.spoil(KEYS, told(401, "unauthorized"), calls=None)
    way.keystone.spoil("*", reset_unread, calls=None)
    with pytest.raises(CloudUnavailable):
        await way.cloud.call(Keys.page, None, 10)


async def test_a_key_whose_reply_was_lost_is_there_once(way: Way) -> None:
    made = Made(way.cloud, 30.0)
    await made.watch(Keys)
    name = fresh_name()
    way.nova.spoil("POST /v2.1/os-keypairs", lost, calls=1)
    key = await made.create(Keys, NewKey(name=name))
    names = [key.name async for key in way.cloud.each(Keys.page)]
    assert names.count(name) == 1
    assert key.private_key
    await made.clear()


async def test_instances_that_are_half_lost_are_as_many_as_asked(
    way: Way, oracle: Connection, image_id: str, profile_id: str, project: Project
) -> None:
    """A create of several whose reply was lost is found again, and makes no more of them."""
    made = Made(way.cloud, 240.0)
    await made.watch(Instances)
    before = servers_of(oracle)
    wish = NewInstance(
        image_id=image_id, hardware_profile_id=profile_id, network_ids=(project.network_id,)
    )
    way.nova.spoil(ACTIONS["instances.create"], lost, calls=1)
    new = await way.cloud.call(Instances.create_many, wish, 2)
    for instance in new:
        made.track(Instances, instance.id)
    assert servers_of(oracle) - before == {instance.id for instance in new}
    assert len(new) == 2
    await made.clear()


def servers_of(oracle: Connection) -> set[str]:
    with quiet():
        return {server.id for server in oracle.compute.servers()}
