"""The client of the guest agent, against the real agent, and against one that misbehaves."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nimbi.qemu import Failed, TimedOut
from nimbi.qemu.disks.agent import FROZEN, agent, frozen, mend
from nimbi.qemu.guests.record import AGENT, QMP
from nimbi.qemu.host.files import try_lock

OPEN = [{"label": "agent", "frontend-open": True}]


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Path]:
    """Give the socket of a real agent. It must not freeze this machine, so that is forbidden."""
    program = Path("/usr/sbin/qemu-ga")
    if not program.exists():
        pytest.skip("qemu-guest-agent is not installed")
    socket = tmp_path / AGENT
    names = "guest-fsfreeze-freeze,guest-fsfreeze-freeze-list,guest-shutdown,guest-exec"
    command = [program, "-m", "unix-listen", "-p", socket, "-t", tmp_path, "-b", names]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        yield socket
        process.kill()


async def listens(socket: Path) -> None:
    async with asyncio.timeout(10):
        while True:
            if await asyncio.to_thread(socket.exists):
                return
            await asyncio.sleep(0.02)


async def test_the_real_agent_answers_and_refuses(real: Path):
    await listens(real)
    for _ in range(2):
        async with agent(real) as talk:
            assert await talk.ask("guest-ping", 5) == {}
            assert await talk.ask("guest-fsfreeze-status", 5) == "thawed"
            with pytest.raises(Failed):
                await talk.ask("guest-fsfreeze-freeze", 5)


async def test_a_torn_request_of_another_client_does_no_harm(real: Path):
    await listens(real)
    _, writer = await asyncio.open_unix_connection(real)
    writer.write(b'{"execute": "guest-pi')
    await writer.drain()
    writer.close()
    async with agent(real) as talk:
        assert await talk.ask("guest-ping", 5) == {}


class Guest:
    """The guest's side of the agent's line, and its QEMU's side of QMP, in one directory."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.is_frozen = False
        self.mute: set[str] = set()
        self.refused: set[str] = set()

    async def agent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := (await reader.readline()).lstrip(b"\xff"):
            request = json.loads(line)
            word = request["execute"]
            self.heard.append(word)
            self.is_frozen = {"guest-fsfreeze-freeze": True, "guest-fsfreeze-thaw": False}.get(
                word, self.is_frozen
            )
            if word in self.mute:
                continue
            answer = {"return": request.get("arguments", {}).get("id", 1)}
            if word in self.refused:
                answer = {"error": {"class": "GenericError", "desc": "no"}}
            start = b"\xff" if word == "guest-sync-delimited" else b""
            writer.write(start + json.dumps(answer).encode() + b"\n")
        writer.close()

    async def qmp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"QMP": {}}\n')
        while await reader.readline():
            writer.write(json.dumps({"return": OPEN}).encode() + b"\n")
        writer.close()


@asynccontextmanager
async def listening(guest: Guest, place: Path) -> AsyncIterator[None]:
    agent_line = await asyncio.start_unix_server(guest.agent, place / AGENT)
    qmp_line = await asyncio.start_unix_server(guest.qmp, place / QMP)
    async with agent_line, qmp_line:
        yield


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Guest]:
    guest = Guest()
    async with listening(guest, tmp_path):
        yield guest


async def test_a_guest_is_frozen_for_the_moment_and_thawed(stub: Guest, tmp_path: Path):
    async with frozen(tmp_path) as whole:
        assert whole
        assert stub.is_frozen
        assert (tmp_path / FROZEN).exists()
    assert not stub.is_frozen
    assert not (tmp_path / FROZEN).exists()


async def test_it_is_thawed_when_the_moment_fails(stub: Guest, tmp_path: Path):
    with pytest.raises(ZeroDivisionError):
        async with frozen(tmp_path):
            raise ZeroDivisionError
    assert not stub.is_frozen


async def test_one_that_refuses_to_freeze_is_thawed_all_the_same(stub: Guest, tmp_path: Path):
    stub.refused.add("guest-fsfreeze-freeze")
    async with frozen(tmp_path) as whole:
        assert not whole
    assert stub.heard[-1] == "guest-fsfreeze-thaw"


async def test_one_that_freezes_and_says_nothing_is_thawed(stub: Guest, tmp_path, monkeypatch):
    monkeypatch.setattr("nimbi.qemu.disks.agent.FREEZE_S", 0.1)
    stub.mute.add("guest-fsfreeze-freeze")
    async with frozen(tmp_path) as whole:
        assert not whole
    assert not stub.is_frozen
    assert not (tmp_path / FROZEN).exists()


async def test_one_that_a_killed_server_left_frozen_is_thawed_by_the_next(
    stub: Guest, tmp_path: Path
):
    stub.is_frozen = True
    (tmp_path / FROZEN).touch()
    await mend(tmp_path, lives=True)
    assert not stub.is_frozen
    assert not (tmp_path / FROZEN).exists()


async def test_one_that_somebody_freezes_right_now_is_left_to_them(stub: Guest, tmp_path: Path):
    lock = try_lock(tmp_path / FROZEN)
    assert lock is not None
    await mend(tmp_path, lives=True)
    assert stub.heard == []
    os.close(lock)
    await mend(tmp_path, lives=False)
    assert not (tmp_path / FROZEN).exists()


async def test_nobody_at_the_line_is_an_error(stub: Guest, tmp_path: Path):
    with pytest.raises(Failed):
        async with agent(tmp_path / "none.sock"):
            pass
    stub.mute.add("guest-sync-delimited")
    with pytest.raises(TimedOut):
        async with agent(tmp_path / AGENT, 0.1):
            pass
    async with frozen(tmp_path / "nowhere") as whole:
        assert not whole
