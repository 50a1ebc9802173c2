"""What nothing owns is found and removed, and nothing else."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.machines import stock

from nimbi.qemu import GuestSpec, Image, State, Unusable, open_hypervisor
from nimbi.qemu.guests.record import Record, load, save
from nimbi.qemu.host.files import locked, workspace
from nimbi.qemu.host.process import alive, identify
from nimbi.qemu.host.programs import program
from nimbi.qemu.state.layout import NEWEST, SCHEMA, prepare
from nimbi.qemu.waste import collect, find

VERSION_1 = Path(__file__).parents[1] / "state" / "version_1"
GUEST, IMAGE, NOBODY = "i-628b49d96dcde97a", "img-c5cd2c2f0af9d143", "i-0000000000000000"
LONG_AGO = (0, 0)
BOOT_S = 120


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """Give a state directory with guests and an image that a server has just left."""
    home = tmp_path / "local"
    await asyncio.to_thread(shutil.copytree, VERSION_1, home)
    await prepare(home)
    return home


@pytest.fixture
def started() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Give what starts a program in a directory; none of them outlives the test."""
    made: list[subprocess.Popen[bytes]] = []

    def start(directory: Path, *arguments: str | Path) -> "subprocess.Popen[bytes]":
        made.append(subprocess.Popen(arguments, cwd=directory))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait()


def empty_qemu(id: str) -> tuple[str | Path, ...]:
    """Return the command of a QEMU that has a guest's name and runs nothing."""
    quiet = ("-M", "none", "-nodefaults", "-no-user-config", "-display", "none")
    return (program("qemu-system-x86_64"), "-name", f"guest={id}", *quiet)


def write(path: Path, *, old: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 5000)
    if old:
        os.utime(path, LONG_AGO)


def looks(home: Path) -> list[tuple[str, int, int]]:
    return [(str(p), p.lstat().st_mode, p.lstat().st_ctime_ns) for p in sorted(home.rglob("*"))]


def record(home: Path) -> Record:
    found = load(home / "guests" / GUEST)
    assert found is not None
    return found


LEFTOVERS = {
    "workspace": "images/.new-abcd/parts/disk.raw",
    "directory": f"guests/{NOBODY}/disk.qcow2",
    "content": f"images/{IMAGE}/.disk.qcow2",
    "write": "guests/.tmp-abcd",
    "lock": "locks/i-1111111111111111.work",
}
"""Kind: a file that is left of it when a process is killed."""


async def test_what_a_server_leaves_in_order_is_no_waste(home: Path) -> None:
    assert await find(home) == []
    assert await collect(home) == []


async def test_a_directory_that_is_not_there_has_no_waste(tmp_path: Path) -> None:
    assert await collect(tmp_path / "none") == []


@pytest.mark.parametrize(("kind", "file"), LEFTOVERS.items())
async def test_leftovers_are_told_and_removed(home: Path, kind: str, file: str) -> None:
    before = looks(home)
    write(home / file)
    found = await find(home)
    assert [item.kind for item in found] == [kind]
    assert file.startswith(found[0].what)
    assert found[0].size_bytes >= 5000
    assert await collect(home) == [(found[0], True)]
    assert await find(home) == []
    assert [name for name, _, _ in looks(home)] == [name for name, _, _ in before]


async def test_a_torn_record_of_a_network_is_found_too(home: Path) -> None:
    write(home / "network" / "records" / "cards" / ".tmp-abcd")
    assert [item.kind for item in await find(home)] == ["write"]


@pytest.mark.guest
async def test_nothing_of_a_guest_that_runs_beside_a_server_is_waste(
    tmp_path: Path, root: Path, image: Image, ending: Callable[[Path], None]
) -> None:
    stock(tmp_path, root)
    try:
        async with open_hypervisor(tmp_path) as hypervisor:
            made = await hypervisor.create(GuestSpec(name="kept", image_id=image.id, memory_mib=96))
            await hypervisor.wait(made.id, frozenset({State.RUNNING}), BOOT_S)
            assert await collect(tmp_path) == []
            assert (await hypervisor.guest(made.id)).state is State.RUNNING
    finally:
        ending(tmp_path)


async def test_looking_changes_nothing(home: Path) -> None:
    for file in LEFTOVERS.values():
        write(home / file)
    before = looks(home)
    assert len(await find(home)) == len(LEFTOVERS)
    assert looks(home) == before


async def test_two_collections_at_once_leave_nothing_and_fail_at_nothing(home: Path) -> None:
    for file in LEFTOVERS.values():
        write(home / file)
    for number in range(50):
        write(home / f"volumes/.new-{number}/parts/disk.qcow2")
    await asyncio.gather(collect(home), collect(home))
    assert await find(home) == []


async def test_what_is_being_made_stays(home: Path) -> None:
    async with workspace(home / "images") as work:
        write(work / "disk.raw")
        assert await collect(home) == []
        assert (work / "disk.raw").exists()


async def test_what_is_being_written_stays(home: Path) -> None:
    write(home / "guests" / GUEST / ".tmp-abcd", old=False)
    assert await find(home) == []


async def test_a_lock_that_is_held_stays(home: Path) -> None:
    lock = home / "locks" / f"{NOBODY}.create"
    async with locked(lock):
        assert await collect(home) == []
        assert lock.exists()


async def test_content_of_which_no_image_is_left_is_waste(home: Path) -> None:
    write(home / "images" / "blobs" / f"sha256-{'0' * 64}")
    [item] = await find(home)
    assert (item.kind, item.why) == ("content", "no image has it")
    assert await item.remove()


async def test_a_program_that_builds_for_a_killed_server_is_ended(
    home: Path, started: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    work = home / "images" / ".new-abcd"
    write(work / "parts" / "disk.raw")
    builder = started(work / "parts", "sleep", "1000")
    gone = await collect(home)
    assert [(item.kind, done) for item, done in gone] == [("process", True), ("workspace", True)]
    assert builder.wait() < 0


async def test_a_program_that_builds_for_a_living_server_goes_on(
    home: Path, started: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    async with workspace(home / "images") as work:
        builder = started(work, "sleep", "1000")
        assert await collect(home) == []
        assert builder.poll() is None


async def test_a_qemu_whose_guest_is_gone_is_ended(
    home: Path, started: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    place = home / "guests" / NOBODY
    write(place / "disk.qcow2")
    qemu = started(place, *empty_qemu(NOBODY))
    shutil.rmtree(place)
    [item] = await find(home)
    assert (item.kind, item.why) == ("process", f"there is no guest {NOBODY}")
    assert await item.remove()
    assert qemu.wait() < 0


async def test_the_qemu_of_a_guest_stays_and_a_second_one_is_ended(
    home: Path, started: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    place = home / "guests" / GUEST
    first, second = (started(place, *empty_qemu(GUEST)) for _ in "12")
    process = identify(first.pid)
    assert process is not None
    save(place, replace(record(home), process=process))
    assert [done for _, done in await collect(home)] == [True]
    assert second.wait() < 0
    assert alive(process)


async def test_a_qemu_that_is_being_started_stays(
    home: Path, started: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    place = home / "guests" / GUEST
    qemu = started(place, *empty_qemu(GUEST))
    save(place, replace(record(home), launching=True))
    assert await collect(home) == []
    assert qemu.poll() is None


async def test_programs_of_another_state_directory_stay(
    home: Path, tmp_path: Path, started: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    place = tmp_path / "local-2" / "guests" / NOBODY
    write(place / "disk.qcow2")
    qemu = started(place, *empty_qemu(NOBODY))
    assert await collect(home) == []
    assert qemu.poll() is None


async def test_a_person_s_shell_in_the_directory_stays(
    home: Path, started: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    shell = started(home / "guests", "sleep", "1000")
    assert await collect(home) == []
    assert shell.poll() is None


async def test_a_directory_of_a_newer_version_is_left_alone(home: Path) -> None:
    (home / SCHEMA).write_text(f'{{"version": {NEWEST + 1}}}')
    with pytest.raises(Unusable):
        await collect(home)
