"""Guests of the local cloud against bare QEMU, started with the same arguments by a script."""

import asyncio
import shutil
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peers import nimbi
from bench.processes import free_port
from bench.table import Line
from nimbi.qemu import GuestSpec, Hypervisor, Image, Options, open_hypervisor

ROUNDS = 5
CROWD = 20
AT_ONCE = 2
"""Of the bare side; the local cloud boots no more at a time either, on any machine."""

MEMORY_MIB = 96
FIRST_ANSWER = 1.15
CROWD_RATIO = 1.2
IDLE_PERCENT = 1
IDLE_S = 30
WITHIN_S = 300
LOOK_EVERY_S = 0.02

BARE = """
set -eu
cd "$1"; base=$2; shift 2
qemu-img create -q -f qcow2 -F qcow2 -b "$base" disk.qcow2 1G
"$@" </dev/null >qemu.log 2>&1 &
echo $!
"""
"""Makes a disk and starts QEMU: directory, the image's disk, QEMU with its arguments."""


@dataclass(frozen=True)
class Model:
    """What a guest of ours was started with: the bare ones are started alike."""

    arguments: list[str]
    directory: Path
    base: Path
    port: int


def measure(place: Path) -> list[Line]:
    return asyncio.run(_measure(place))


async def _measure(place: Path) -> list[Line]:
    state = place / "guests"
    local = state / "state" / "local"
    # With QEMU's own network on both sides: a shell script has no other.
    async with open_hypervisor(local, Options(network="user")) as hypervisor:
        image = await hypervisor.build_demo_image()
        model = await _model(hypervisor, image)
        lines = [await _first_answer(hypervisor, image, model, place)]
        async with _crowd(hypervisor, image) as ours_s:
            idle = await asyncio.to_thread(_idle, state)
        theirs_s = await asyncio.to_thread(_bare_crowd, model, place)
    note = f"{ours_s:.1f} s, bare {AT_ONCE} at a time {theirs_s:.1f} s"
    crowd = Line(
        f"{CROWD} guests created at once, until all have answered, of bare QEMU",
        *(ours_s / theirs_s, "times", CROWD_RATIO),
        at_least=False,
        note=note,
    )
    return [*lines, crowd, idle]


async def _model(hypervisor: Hypervisor, image: Image) -> Model:
    guest = await hypervisor.create(_spec(image, "model"))
    await asyncio.to_thread(_answered, guest.ports[80])
    guest = await hypervisor.guest(guest.id)
    command = await asyncio.to_thread(Path(f"/proc/{guest.pid}/cmdline").read_text)
    arguments = command.split("\0")[:-1]
    directory = hypervisor.root / "guests" / guest.id
    kept = hypervisor.root.parent / "model"
    kept.mkdir()
    shutil.copy(directory / "seed.iso", kept)
    await hypervisor.destroy(guest.id)
    return Model(arguments, kept, image.path / "disk.qcow2", guest.ports[80])


def _spec(image: Image, name: str) -> GuestSpec:
    return GuestSpec(
        name=name, image_id=image.id, memory_mib=MEMORY_MIB, ports=(80,), outgoing=False
    )


async def _first_answer(hypervisor: Hypervisor, image: Image, model: Model, place: Path) -> Line:
    ours, theirs = [], []
    for number in range(ROUNDS):
        began = time.perf_counter()
        guest = await hypervisor.create(_spec(image, f"round-{number}"))
        await asyncio.to_thread(_answered, guest.ports[80])
        ours.append(time.perf_counter() - began)
        await hypervisor.destroy(guest.id)
        theirs.append(await asyncio.to_thread(_bare_round, model, place / f"bare-{number}"))
    our_s, their_s = statistics.median(ours), statistics.median(theirs)
    return Line(
        "create of a guest to its first answer, of bare QEMU",
        *(our_s / their_s, "times", FIRST_ANSWER),
        at_least=False,
        note=f"{our_s:.2f} s, bare {their_s:.2f} s",
    )


@asynccontextmanager
async def _crowd(hypervisor: Hypervisor, image: Image) -> AsyncIterator[float]:
    """Give the seconds until a crowd created at once has answered, every one; then end it."""
    began = time.perf_counter()
    made = await asyncio.gather(
        *(hypervisor.create(_spec(image, f"crowd-{number}")) for number in range(CROWD))
    )
    try:
        # In threads of their own: the hypervisor works in the loop's, which are few.
        with ThreadPoolExecutor(CROWD) as waiting:
            loop = asyncio.get_running_loop()
            answers = (loop.run_in_executor(waiting, _answered, g.ports[80]) for g in made)
            await asyncio.gather(*answers)
        yield time.perf_counter() - began
    finally:
        await asyncio.gather(*(hypervisor.destroy(guest.id) for guest in made))


def _idle(state: Path) -> Line:
    with nimbi(state, "local") as server:
        # The first request opens the local cloud, which then keeps house.
        urllib.request.urlopen(f"{server.url}/api/hardware_profiles").close()
        time.sleep(2)
        before = server.cpu_s()
        time.sleep(IDLE_S)
        used = server.cpu_s() - before
    return Line(
        f"CPU of an idle server with {CROWD} guests",
        *(used / IDLE_S * 100, "%", IDLE_PERCENT),
        at_least=False,
    )


def _bare_round(model: Model, directory: Path) -> float:
    """Return the seconds from the start of the script to the guest's first answer."""
    port = free_port()
    directory.mkdir()
    shutil.copy(model.directory / "seed.iso", directory)
    arguments = [a.replace(f":{model.port}-", f":{port}-") for a in model.arguments]
    began = time.perf_counter()
    said = subprocess.run(
        ["sh", "-c", BARE, "sh", directory, model.base, *arguments],
        check=True,
        capture_output=True,
    )
    try:
        _answered(port)
        return time.perf_counter() - began
    finally:
        subprocess.run(["kill", "-9", said.stdout.strip()], check=False)


def _bare_crowd(model: Model, place: Path) -> float:
    # They run on till all have answered, as ours do.
    began = time.perf_counter()
    started: list[bytes] = []

    def one(number: int) -> None:
        port = free_port()
        directory = place / f"bare-crowd-{number}"
        directory.mkdir()
        shutil.copy(model.directory / "seed.iso", directory)
        arguments = [a.replace(f":{model.port}-", f":{port}-") for a in model.arguments]
        command = ["sh", "-c", BARE, "sh", directory, model.base, *arguments]
        started.append(subprocess.run(command, check=True, capture_output=True).stdout.strip())
        _answered(port)

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, range(CROWD)))
        return time.perf_counter() - began
    finally:
        subprocess.run(["kill", "-9", *started], check=False)


def _answered(port: int) -> None:
    """Return once a page has come from a loopback port."""
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                answer.read()
                return
        except (OSError, urllib.error.URLError):
            time.sleep(LOOK_EVERY_S)
    raise SystemExit(f"no guest answered at port {port} within {WITHIN_S} s")
