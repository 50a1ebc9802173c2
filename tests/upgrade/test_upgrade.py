"""Three servers of the form before are replaced one by one, and no request is lost."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from tests.soak.clients import ANSWER_S, Client, Tally
from tests.soak.judgement import Verdict, judge_things
from tests.soak.run import books_of, entered, first_token
from tests.soak.servers import Process, Site
from tests.targets.postgres import Server
from tests.targets.stores import Server as Program
from tests.targets.stores import free_port, running

from nimbi.store.database import open_database
from nimbi.store.keys import new_key
from nimbi.store.schema import HEAD
from nimbi.store.upgrade import version

ROOT = Path(__file__).parents[2]
FORMS = "src/nimbi/store/migrations/versions"
HAPROXY = ROOT / "deploy" / "haproxy" / "nimbi.cfg"
CLIENTS = 8
PATIENCE_S = 60


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def forms_at(commit: str) -> set[str]:
    return set(re.findall(r"form_\d+\.py", git("ls-tree", "--name-only", commit, f"{FORMS}/")))


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """Return the code of the newest commit that knew fewer forms than this tree."""
    now = {file.name for file in (ROOT / FORMS).glob("form_*.py")}
    commits = git("rev-list", "--max-count=200", "HEAD").split()
    older = next((commit for commit in commits if set() < forms_at(commit) < now), None)
    if older is None:
        pytest.skip("this clone has no commit of an older form")
    place = tmp_path / "before"
    place.mkdir()
    archive = tmp_path / "before.tar"
    git("archive", "--output", str(archive), older, "src")
    shutil.unpack_archive(archive, place, filter="data")
    return place / "src"


@dataclass(frozen=True)
class Front:
    """HAProxy, where clients ask."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def site(postgresql: Server, tmp_path: Path) -> Site:
    site = Site(tmp_path, postgresql.new_database(), new_key(), faulty=False)
    site.prepare()
    return site


@pytest.fixture
def processes(site: Site) -> Iterator[list[Process]]:
    found = [Process(site, number) for number in range(3)]
    yield found
    for process in found:
        process.kill()


@pytest.fixture
def front(processes: list[Process], tmp_path: Path) -> Front:
    """Return HAProxy as deploy/ sets it up, over our ports."""
    if shutil.which("haproxy") is None:
        missing = "haproxy is not installed (Debian: haproxy)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    front = Front(free_port())
    text = HAPROXY.read_text().replace(":3000", f":{front.port}")
    for number, process in enumerate(processes, 3001):
        text = text.replace(f":{number}", f":{process.port}")
    (tmp_path / "haproxy.cfg").write_text(text)
    return front


async def form_of(site: Site) -> str | None:
    async with (
        open_database(site.database, upgrade=False) as database,
        database.reading() as connection,
    ):
        return await connection.run_sync(version)


async def replace_each(site: Site, processes: list[Process], tally: Tally) -> None:
    """Replace one server after the other, each under load."""
    for process in processes:
        await _more(tally)
        assert await process.stop() == 0
        process.source = None
        process.start()
        await process.ready()
    await _more(tally)


async def _more(tally: Tally) -> None:
    """Wait until clients have asked a good deal more."""
    enough = tally.requests + 4 * CLIENTS
    async with asyncio.timeout(PATIENCE_S):
        while tally.requests < enough:  # noqa: ASYNC110  the clients know nothing of this
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_servers_are_replaced_one_by_one_and_no_request_is_lost(
    site: Site, processes: list[Process], front: Front, before: Path, tmp_path: Path
) -> None:
    for process in processes:
        process.source = before
    # The first makes the tables: those of before.
    processes[0].start()
    await processes[0].ready()
    assert await form_of(site) != HEAD
    async with open_database(site.database, upgrade=False) as database:
        token = await first_token(database)
    for process in processes[1:]:
        process.start()
        await process.ready()
    log = tmp_path / "haproxy.log"
    program = Program(["haproxy", "-db", "-f", tmp_path / "haproxy.cfg"], front.port, log)
    tally = Tally()
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        clients = [Client(n, [front], session, tally, token) for n in range(CLIENTS)]
        with running(program):
            await entered(clients[0])
            working = [asyncio.create_task(client.run(float("inf"))) for client in clients]
            try:
                await replace_each(site, processes, tally)
            finally:
                for client in clients:
                    client.is_leaving = True
                done = await asyncio.gather(*working, return_exceptions=True)
        assert [error for error in done if error] == []
    assert tally.lost == []
    # Nobody had to ask a second time.
    assert tally.attempts == tally.requests, tally.answers
    for process in processes:
        assert await process.stop() == 0
    verdict = Verdict()
    wishes = [wish for client in clients for wish in client.wishes]
    judge_things(verdict, wishes, books_of(site), frozenset())
    assert verdict.findings() == []
    assert await form_of(site) == HEAD
