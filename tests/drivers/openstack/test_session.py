"""Calls of a session: where they go, repeated where that is safe, and what a lost answer means."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.drivers.openstack.stand_in import (
    LOGIN,
    PROJECT,
    Asked,
    StandIn,
    dropped,
    fault,
    logged_in,
    standing_in,
)

from nimbi.driver.interface import Account, Place
from nimbi.drivers.openstack.calls import READ
from nimbi.drivers.openstack.errors import OpenStackError, to_error
from nimbi.drivers.openstack.narrowing import SERVICE_OF, narrow, notes, providers
from nimbi.drivers.openstack.session import Session, Settings, open_session, quoted, start
from nimbi.model.errors import (
    CloudUnavailable,
    Forbidden,
    Invalid,
    NotFound,
    Throttled,
    Unauthorized,
    UnknownOutcome,
    Unsupported,
)

SERVERS = "GET /compute/v2.1/servers"
STOP = "POST /compute/v2.1/servers/1/action"


@pytest.fixture
async def openstack() -> AsyncIterator[StandIn]:
    async with standing_in() as openstack:
        yield openstack


@pytest.fixture
async def session(openstack: StandIn, tmp_path: Path) -> AsyncIterator[Session]:
    async with logged_in(openstack, tmp_path) as session:
        yield session


async def test_a_call_carries_the_token_and_the_newest_microversion_of_both(
    session: Session, openstack: StandIn
) -> None:
    openstack.tell(SERVERS, {"servers": []})
    assert await session.get("compute", "/servers", {"limit": 2, "all": True}) == {"servers": []}
    asked = openstack.requests("/compute/v2.1/servers")[0]
    assert asked.headers["X-Auth-Token"] == "token1"
    assert asked.headers["OpenStack-API-Version"] == "compute 2.90"
    assert "X-OpenStack-Nova-API-Version" not in asked.headers
    assert asked.query == {"limit": "2", "all": "true"}


async def test_services_with_one_version_are_found_without_asking_for_it(
    session: Session, openstack: StandIn
) -> None:
    openstack.tell("GET /network/v2.0/networks", {"networks": []})
    openstack.tell("GET /image/v2/images", {"images": []})
    await session.get("network", "/networks")
    await session.get("image", "/images")
    assert [asked.path for asked in openstack.asked] == [
        "/network/v2.0/networks",
        "/image/v2/images",
    ]


async def test_one_new_token_is_got_for_many_requests_that_wait(
    session: Session, openstack: StandIn
) -> None:
    openstack.tell(SERVERS, openstack.checked({"servers": []}))
    openstack.revoked.add("token1")
    answers = await asyncio.gather(*(session.get("compute", "/servers") for _ in range(20)))
    assert answers == [{"servers": []}] * 20
    assert len(openstack.logins) == 2


async def test_a_token_that_is_over_is_not_even_sent(openstack: StandIn, tmp_path: Path) -> None:
    openstack.lasting = -openstack.lasting
    openstack.tell(SERVERS, {"servers": []})
    async with logged_in(openstack, tmp_path) as session:
        openstack.lasting = -openstack.lasting
        await session.get("compute", "/servers")
    assert openstack.requests("/compute/v2.1/servers")[0].headers["X-Auth-Token"] == "token2"


async def test_a_login_that_is_refused_again_is_unauthorized(
    session: Session, openstack: StandIn
) -> None:
    openstack.tell(SERVERS, fault(401, "error"))
    with pytest.raises(OpenStackError) as raised:
        await session.get("compute", "/servers")
    assert isinstance(to_error(raised.value), Unauthorized)
    assert len(openstack.logins) == 2
    assert len(openstack.requests("/compute/v2.1/servers")) == 2


async def test_a_token_that_ends_in_mid_list_does_not_end_the_list(
    session: Session, openstack: StandIn
) -> None:
    def page(asked: Asked) -> web.Response:
        at = int(asked.query.get("marker", 0))
        link = {"rel": "next", "href": f"http://elsewhere/servers?marker={at + 1}&limit=1"}
        openstack.revoked.add(f"token{len(openstack.logins)}")
        return web.json_response(
            {"servers": [{"id": at + 1}], "servers_links": [link] if at < 2 else []}
        )

    openstack.tell(SERVERS, openstack.checked(page))
    found = [server["id"] async for server in session.each("compute", "/servers", "servers")]
    assert found == [1, 2, 3]
    assert len(openstack.logins) == 3


async def test_sessions_of_one_login_share_a_token(openstack: StandIn, tmp_path: Path) -> None:
    openstack.regions = ("east", "west")
    account = Account(LOGIN, openstack.auth_url)
    there = Account(LOGIN, f"{openstack.auth_url};west")
    async with (
        start(Settings(), Place(tmp_path)) as backend,
        open_session(backend, account) as one,
        open_session(backend, there) as other,
    ):
        assert (one.region, other.region) == ("east", "west")
        assert await one.token() is await other.token()
    assert len(openstack.logins) == 1


async def test_sessions_of_other_passwords_share_nothing(
    openstack: StandIn, tmp_path: Path
) -> None:
    async with start(Settings(), Place(tmp_path)) as backend:
        keys = []
        for password in ("one", "other"):
            login = type(LOGIN)(LOGIN.user, password)
            async with open_session(backend, Account(login, openstack.auth_url)) as session:
                keys.append(session.key)
    assert keys[0] != keys[1]
    assert len(openstack.logins) == 2


async def test_a_wrong_login_is_told_at_once(openstack: StandIn, tmp_path: Path) -> None:
    openstack.refuses = True
    with pytest.raises(OpenStackError) as raised:
        async with logged_in(openstack, tmp_path):
            pass
    error = to_error(raised.value)
    assert isinstance(error, Unauthorized)
    assert "a secret" not in str(error) + str(raised.value)


async def test_without_credentials_nothing_is_asked(openstack: StandIn, tmp_path: Path) -> None:
    async with logged_in(openstack, tmp_path, None) as session:
        assert narrow(session) == frozenset(SERVICE_OF)
        assert providers(session) == {}
        with pytest.raises(Unauthorized):
            await session.get("compute", "/servers")
        with pytest.raises(Unauthorized):
            session.project_id  # noqa: B018
    assert openstack.asked == []


async def test_a_provider_is_needed_by_those_who_log_in(tmp_path: Path) -> None:
    async with start(Settings(), Place(tmp_path)) as backend:
        with pytest.raises(Invalid, match="URL of a Keystone"):
            async with open_session(backend, Account(LOGIN)):
                pass
        async with open_session(backend, Account(None)) as session:
            with pytest.raises(Unauthorized):
                await session.get("compute", "/servers")


async def test_a_region_is_found_whatever_its_case(openstack: StandIn, tmp_path: Path) -> None:
    openstack.regions = ("East", "West")
    async with logged_in(openstack, tmp_path, region="west") as session:
        assert session.region == "West"
    with pytest.raises(Invalid, match="East, West"):
        async with logged_in(openstack, tmp_path, region="south"):
            pass


async def test_what_the_catalogue_lacks_is_narrowed_and_named(
    openstack: StandIn, tmp_path: Path
) -> None:
    openstack.services = ("compute", "network", "identity")
    openstack.regions = ("east", "west")
    async with logged_in(openstack, tmp_path) as session:
        there = narrow(session)
        told = notes(session)
        with pytest.raises(Unsupported, match="no service load-balancer in east"):
            await session.get("load-balancer", "/lbaas/loadbalancers")
    assert {"instances", "networks"} <= there
    assert not {"load_balancers", "volumes", "buckets", "images"} & there
    assert "load-balancer (load_balancers)" in told["services that are not there"]
    assert told["other regions"] == "west"


async def test_regions_are_told_as_providers(openstack: StandIn, tmp_path: Path) -> None:
    openstack.regions = ("east", "west")
    async with logged_in(openstack, tmp_path) as session:
        told = providers(session)
    assert set(told["compute"]) == {f"{openstack.auth_url};{at}" for at in openstack.regions}


@pytest.mark.parametrize(("status", "kind"), [(500, CloudUnavailable), (502, CloudUnavailable)])
async def test_what_only_reads_may_be_asked_again(
    session: Session, openstack: StandIn, status: int, kind: type[Exception]
) -> None:
    openstack.tell(SERVERS, web.Response(status=status, text="<html>Bad Gateway</html>"))
    with pytest.raises(OpenStackError) as raised:
        await session.get("compute", "/servers")
    assert type(to_error(raised.value)) is kind


async def test_a_change_whose_answer_is_lost_has_an_unknown_outcome(
    session: Session, openstack: StandIn
) -> None:
    openstack.tell(STOP, dropped)
    with pytest.raises(UnknownOutcome):
        await session.post("compute", "/servers/1/action", {"os-stop": None})
    assert len(openstack.requests("/compute/v2.1/servers/1/action")) == 1
    openstack.tell(SERVERS, dropped)
    with pytest.raises(CloudUnavailable):
        await session.get("compute", "/servers")


@pytest.mark.parametrize("text", ['{"servers": [', "<html>ok</html>", "[1"])
async def test_half_an_answer_is_none(session: Session, openstack: StandIn, text: str) -> None:
    openstack.tell(SERVERS, web.Response(text=text))
    openstack.tell("POST /compute/v2.1/servers", web.Response(text=text))
    with pytest.raises(CloudUnavailable):
        await session.get("compute", "/servers")
    with pytest.raises(UnknownOutcome):
        await session.post("compute", "/servers", {})


async def test_throttling_closes_the_budget_of_that_login_and_service_only(
    session: Session, openstack: StandIn
) -> None:
    openstack.tell(SERVERS, fault(429, "overLimit", retry_after=20))
    with pytest.raises(OpenStackError) as raised:
        await session.get("compute", "/servers")
    error = to_error(raised.value)
    assert isinstance(error, Throttled)
    assert error.retry_after_s == 20
    budgets = session.backend.budgets
    assert budgets.rate_per_s((session.key[0], session.region, "compute", READ)) is not None
    assert budgets.rate_per_s((session.key[0], session.region, "network", READ)) is None
    with pytest.raises(Throttled):
        await session.get("compute", "/servers")
    assert len(openstack.requests("/compute/v2.1/servers")) == 1


async def test_what_was_just_made_is_waited_for(session: Session, openstack: StandIn) -> None:
    openstack.tell("GET /network/v2.0/ports/p1", 404, 404, {"port": {"id": "p1"}})
    session.fresh("p1")
    found = await session.settled(lambda: session.get("network", "/ports/p1"), ids=("p1",))
    assert found["port"]["id"] == "p1"
    openstack.tell("GET /network/v2.0/ports/p2", 404)
    with pytest.raises(OpenStackError):
        await session.settled(lambda: session.get("network", "/ports/p2"), ids=("p2",))
    assert len(openstack.requests("/network/v2.0/ports/p2")) == 1


async def test_a_task_under_way_is_waited_out(session: Session, openstack: StandIn) -> None:
    busy = {"server": {"status": "ACTIVE", "OS-EXT-STS:task_state": "powering-off"}}
    calm = {"server": {"status": "ACTIVE", "OS-EXT-STS:task_state": None}}
    openstack.tell(STOP, fault(409, "conflictingRequest"), fault(409, "conflictingRequest"), 202)
    openstack.tell("GET /compute/v2.1/servers/1", busy, calm)

    async def stop() -> None:
        await session.post("compute", "/servers/1/action", {"os-stop": None})

    await session.calmed(stop, lambda: session.server_is_busy("1"))
    assert len(openstack.requests("/compute/v2.1/servers/1/action")) == 3


async def test_a_conflict_without_a_task_is_one(session: Session, openstack: StandIn) -> None:
    calm = {"server": {"status": "SHUTOFF", "OS-EXT-STS:task_state": None}}
    openstack.tell(STOP, fault(409, "conflictingRequest"))
    openstack.tell("GET /compute/v2.1/servers/1", calm)

    async def stop() -> None:
        await session.post("compute", "/servers/1/action", {"os-stop": None})

    with pytest.raises(OpenStackError):
        await session.calmed(stop, lambda: session.server_is_busy("1"))
    # Once more than it was told, since the task may have ended in between.
    assert len(openstack.requests("/compute/v2.1/servers/1/action")) == 2


async def test_a_stream_gives_its_errors_as_calls_do(session: Session, openstack: StandIn) -> None:
    path = f"GET /v1/AUTH_{PROJECT}/b/o"
    openstack.tell(path, openstack.checked(web.Response(body=b"content")))
    openstack.revoked.add("token1")
    async with session.stream("GET", "object-store", "/b/o", changes=False) as stream:
        assert await stream.read() == b"content"
    openstack.tell(path, web.Response(status=404, text="<h1>Not Found</h1>"))
    with pytest.raises(OpenStackError) as raised:
        async with session.stream("GET", "object-store", "/b/o", changes=False):
            pass
    assert (raised.value.status, raised.value.message) == (404, "Not Found")


async def test_a_body_that_comes_once_is_sent_once(session: Session, openstack: StandIn) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"content"

    path = f"/v1/AUTH_{PROJECT}/b/o"
    openstack.tell(f"PUT {path}", openstack.checked(201))
    openstack.revoked.add("token1")
    for _ in range(2):
        try:
            async with session.stream("PUT", "object-store", "/b/o", body=body(), changes=True):
                pass
        except OpenStackError as error:
            assert error.status == 401
    assert [asked.body for asked in openstack.requests(path)] == [b"content"] * 2
    assert openstack.requests(path)[1].headers["X-Auth-Token"] == "token2"


async def test_an_account_is_asked_in_a_way_that_eventlet_answers_well(
    session: Session, openstack: StandIn
) -> None:
    headers = {"X-Account-Bytes-Used": "5"}
    openstack.tell(f"GET /v1/AUTH_{PROJECT}", web.Response(text="", headers=headers))
    answer = await session.call("HEAD", "object-store", "", changes=False)
    assert answer.headers["x-account-bytes-used"] == "5"
    assert openstack.asked[0].query == {"limit": "1"}


async def test_a_cloud_of_strangers_may_not_name_this_machines_own_services(
    openstack: StandIn, tmp_path: Path
) -> None:
    token = openstack.token(
        catalog=[
            {
                "type": "network",
                "endpoints": [{"interface": "public", "url": "http://169.254.169.254"}],
            }
        ]
    )
    told = web.json_response({"token": token}, headers={"X-Subject-Token": "t"})
    openstack.tell("POST /identity/v3/auth/tokens", told)
    async with logged_in(openstack, tmp_path) as session:
        with pytest.raises(Forbidden):
            await session.get("network", "/networks")


@pytest.mark.parametrize("id", ["", ".", "..", "a\0b", "\ud800", "x" * 2000])
def test_what_no_path_can_name_is_not_found(id: str) -> None:
    with pytest.raises(NotFound):
        quoted(id)


def test_an_id_stays_one_part_of_a_path() -> None:
    assert quoted("../a b?c#d") == "..%2Fa%20b%3Fc%23d"


async def test_what_a_login_has_is_known_while_a_new_token_is_got(
    session: Session, openstack: StandIn
) -> None:
    openstack.tell(SERVERS, openstack.checked({"servers": []}))
    openstack.revoked.add("token1")
    seen: list[tuple[str, bool]] = []

    def token(_asked: Asked) -> web.Response:
        seen.append((session.project_id, "network" in session.services()))
        told = {"token": openstack.token()}
        return web.json_response(told, headers={"X-Subject-Token": "new"})

    openstack.tell("POST /identity/v3/auth/tokens", token)
    await session.get("compute", "/servers")
    assert seen == [(PROJECT, True)]


async def test_a_service_that_shows_its_versions_to_users_only_is_asked_as_one(
    session: Session, openstack: StandIn
) -> None:
    def root(asked: Asked) -> web.Response:
        if "X-Auth-Token" not in asked.headers:
            return fault(401, "error")
        versions = {"version": {"id": "v2.1", "version": "2.50", "min_version": "2.1"}}
        return web.json_response(versions)

    openstack.tell("GET /compute/v2.1/", root)
    assert (await session.root("compute")).best("compute") == "2.50"
