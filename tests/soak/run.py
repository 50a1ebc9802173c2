"""One soak: servers, faults, clients, kills; then peace, and the count."""

import asyncio
import hashlib
import random
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import insert
from tests.soak.clients import ANSWER_S, Client, Tally, Wish
from tests.soak.clouds import NAMES, Books, read
from tests.soak.judgement import PREFIX, Verdict, judge_list, judge_things
from tests.soak.land import CURRENCY, Project, settled
from tests.soak.money import judge_audit, judge_bill, judge_money, judge_quotas
from tests.soak.servers import Process, Site, kill_now_and_then

from nimbi.broker import people
from nimbi.drivers.mock.session import LOGIN
from nimbi.store.database import Database, open_database
from nimbi.store.keys import new_key
from nimbi.store.schema import tokens

PROCESSES = 3
# What a dead process held is let go of after half a minute or so; polls come every few seconds.
SETTLE_S = 120.0
LISTS = ("instances", "volumes")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How long, by how many clients; a process is killed each `kill_every_s`."""

    seconds: float
    clients: int
    kill_every_s: float
    seed: int


async def soak(database: str, place: Path, size: Size, say: Say) -> Verdict:
    """Run one soak on an empty PostgreSQL database, in an empty directory."""
    say(f"seed {size.seed}, {size.seconds:g} s, {size.clients} clients, {PROCESSES} processes")
    site = Site(place, database, new_key())
    site.prepare()
    token = await _token(database)
    processes = [Process(site, number) for number in range(PROCESSES)]
    tally = Tally()
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            await _started(processes)
            operator = Client(-1, processes, session, tally, token)
            await entered(operator)
            projects = await settled(operator)
            clients = [
                _client(number, processes, session, tally, projects)
                for number in range(size.clients)
            ]
            await _stormed(processes, clients, size, say)
            say(f"{tally.requests} requests, {tally.attempts} attempts: {_told(tally)}")
            site.faulty = False
            await _stopped(processes)
            await _started(processes)
            return await _judged(site, operator, clients, tally, say)
    finally:
        for process in processes:
            process.kill()


async def _token(url: str) -> str:
    async with open_database(url) as database:
        return await first_token(database)


async def first_token(database: Database) -> str:
    """Return the secret of a new token of the operator's, put there by hand.

    It works also in tables of an older form, whose programs know of less.
    """
    secret = people.PREFIX + secrets.token_urlsafe(32)
    row = {
        "id": "soak",
        "name": "soak",
        "digest": hashlib.sha256(secret.encode()).digest(),
        "scopes": b'[{"operations":"*","account":"*"}]',
        "created_us": time.time_ns() // 1000,
    }
    async with database.writing() as connection:
        await connection.execute(insert(tokens).values(row))
    return secret


async def _started(processes: list[Process]) -> None:
    for process in processes:
        process.start()
    await asyncio.gather(*(process.ready() for process in processes))


async def _stopped(processes: list[Process]) -> None:
    await asyncio.gather(*(process.stop() for process in processes))


async def entered(operator: Client) -> None:
    """Make an account of each cloud; they fail as they like."""
    for name in NAMES:
        login = {"user": LOGIN.user, "password": LOGIN.password}
        new = {"id": name, "driver": name, "credentials": login}
        reply = await operator.ask("POST", "/v1/accounts?test=false", new)
        assert reply.is_well, reply


async def _stormed(processes: list[Process], clients: list[Client], size: Size, say: Say) -> None:
    """Let the clients work while processes are killed, and all come to the end of their wishes."""
    until = asyncio.get_running_loop().time() + size.seconds
    killing = asyncio.create_task(
        kill_now_and_then(processes, size.kill_every_s, random.Random(size.seed))
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_killed_until(killing, until))
            for client in clients:
                group.create_task(client.run(until))
    finally:
        killing.cancel()
        with suppress(asyncio.CancelledError):
            await killing
    say(f"the storm is over; {sum(each.kills for each in processes)} kills")


async def _killed_until(killing: "asyncio.Task[None]", until: float) -> None:
    await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))
    killing.cancel()


def _told(tally: Tally) -> str:
    return ", ".join(f"{answer} {count}" for answer, count in tally.answers.most_common())


def _client(
    number: int,
    processes: list[Process],
    session: aiohttp.ClientSession,
    tally: Tally,
    projects: list[Project],
) -> Client:
    project = projects[number % len(projects)]
    return Client(number, processes, session, tally, project.token, project.id)


async def _judged(
    site: Site, operator: Client, clients: list[Client], tally: Tally, say: Say
) -> Verdict:
    verdict = Verdict()
    wishes = [wish for client in clients for wish in client.wishes]
    listed = await _settled(site, operator)
    orphans = await _orphans(operator)
    say(f"{len(wishes)} wishes, {sum(w.is_held for w in wishes)} held, {len(orphans)} orphans")
    books = books_of(site)
    judge_things(verdict, wishes, books, frozenset(orphans))
    for collection in LISTS:
        judge_list(verdict, books, collection, listed[collection])
    projects = {wish.project for wish in wishes}
    drifts = await operator.get("POST", "/v1/holdings/recount", {})
    judge_quotas(verdict, wishes, await _used(operator, projects), drifts["items"])
    # Then all is given back, so that no interval of use is open.
    await asyncio.gather(*(client.remove_all() for client in clients))
    verdict.leaked += await _emptied(site, operator)
    await _metered(operator)
    for project, used in (await _used(operator, projects)).items():
        verdict.quota_drift += [f"{n} of {project} for nothing: {u}" for n, u in used.items() if u]
    entries = await _audited(operator)
    report = await operator.get("GET", "/v1/audit/verify")
    judge_audit(verdict, tally.changed, wishes, entries, report)
    await _judge_money(verdict, site, operator, wishes, say)
    verdict.lost = tally.lost + verdict.lost
    verdict.requests = tally.requests
    return verdict


async def _judge_money(
    verdict: Verdict, site: Site, operator: Client, wishes: list[Wish], say: Say
) -> None:
    """Judge the bill once it is right, or when it is too late for that.

    Whose a thing is may be known later than that it is there: the meter looks each minute.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_S
    projects = {wish.project for wish in wishes}
    books = books_of(site)
    while True:
        intervals = await _pages(operator, "/v1/usage/intervals?limit=1000")
        ended = [each for each in intervals if (each["name"] or "").startswith(PREFIX)]
        query = "by=tenant&begin=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z"
        # The things that a new mock cloud comes with are nobody's.
        rows = (await operator.get("GET", f"/v1/usage?{query}"))["rows"]
        rows = [row for row in rows if row["key"][0] in projects]
        now = Verdict()
        judge_bill(now, ended, rows, books, wishes)
        told = judge_money(now, rows, books, wishes)
        if not now.bill_difference or loop.time() > until:
            break
        await asyncio.sleep(2.0)
    verdict.bill_difference += now.bill_difference
    say(f"{len(ended)} intervals of use, {CURRENCY} {told}")


async def _used(operator: Client, projects: set[str]) -> dict[str, dict[str, int]]:
    found = {}
    for project in projects:
        items = (await operator.get("GET", f"/v1/tenant-quotas/{project}"))["items"]
        found[project] = {item["resource"]: item["used"] for item in items}
    return found


async def _audited(operator: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = 0
    while page := (await operator.get("GET", f"/v1/audit?limit=1000&after={after}"))["items"]:
        found += page
        after = page[-1]["seq"]
    return found


async def _metered(operator: Client) -> None:
    """Wait until all that changed has been metered, and nothing of ours is in use any more."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_S
    while loop.time() < until:
        intervals = await _pages(operator, "/v1/usage/intervals?limit=1000")
        if not any(
            each["until"] is None and each["state"]
            for each in intervals
            if (each["name"] or "").startswith(PREFIX)
        ):
            return
        await asyncio.sleep(1.0)


def books_of(site: Site) -> dict[str, Books]:
    return {name: read(name, site.cloud(name)) for name in NAMES}


async def _settled(site: Site, operator: Client) -> dict[str, set[tuple[str, str]]]:
    """Return Nimbi's lists, once they are what the clouds hold, or when it is too late for that."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_S
    while True:
        listed = {name: await _listed(operator, name) for name in LISTS}
        verdict, books = Verdict(), books_of(site)
        for collection in LISTS:
            judge_list(verdict, books, collection, listed[collection])
        if not any(verdict.counts.values()) or loop.time() > until:
            return listed
        await asyncio.sleep(1.0)


async def _listed(operator: Client, collection: str) -> set[tuple[str, str]]:
    items = await _pages(operator, f"/v1/{collection}?limit=1000")
    return {(item["account"], item["id"]) for item in items}


async def _emptied(site: Site, operator: Client) -> list[str]:
    """Remove all orphans that polls find; return what is left in the clouds or is an orphan still.

    Nobody holds anything any more.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_S
    while True:
        orphans = sorted(await _orphans(operator))
        for account, collection, id in orphans:
            await operator.ask("DELETE", f"/v1/accounts/{account}/orphans/{collection}/{id}")
        left = [f"{each} is an orphan" for each in orphans]
        left += [
            f"{thing.name} in {cloud}: {thing.id} is there at the end"
            for cloud, book in books_of(site).items()
            for thing in book.things
            if thing.gone_at is None and (thing.name or "").startswith(PREFIX)
        ]
        if not left or loop.time() > until:
            return left
        await asyncio.sleep(1.0)


async def _orphans(operator: Client) -> set[tuple[str, str, str]]:
    items = await _pages(operator, "/v1/orphans")
    return {(item["account"], item["collection"], item["id"]) for item in items}


async def _pages(operator: Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    marker = ""
    while True:
        sep = "&" if "?" in path else "?"
        reply = await operator.ask("GET", path + (f"{sep}marker={marker}" if marker else ""))
        assert reply.is_well, reply
        found += reply.body["items"]
        marker = reply.body.get("next") or ""
        if not marker:
            return found
