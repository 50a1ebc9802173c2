"""The state directory: whose it is, which version it has, and how an old one is upgraded."""

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nimbi.qemu import State, Unusable, open_hypervisor
from nimbi.qemu.state.layout import LAYOUT, NEWEST, SCHEMA, prepare, version
from nimbi.qemu.state.upgrades import UPGRADES

VERSION_1 = Path(__file__).with_name("version_1")
"""A directory as version 1 wrote it, without the big files: nothing here looks into those."""

FIRST, SECOND = "i-628b49d96dcde97a", "i-27cc608b23f6f00f"

# Ends itself like `kill -9` does, just before the n-th time that a file is put in its place.
KILLED_AT = """
import asyncio, os, signal, sys
from pathlib import Path
from nimbi.qemu.state.layout import prepare

left = int(sys.argv[2])

def count(event, _arguments):
    global left
    if event == "os.rename":
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

sys.addaudithook(count)
asyncio.run(prepare(Path(sys.argv[1])))
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    root = tmp_path / "local"
    shutil.copytree(VERSION_1, root)
    root.chmod(0o700)
    return root


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def content(root: Path) -> dict[str, bytes]:
    """Return what all files hold that do not belong to a lock or to a write that was cut short."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.parent.name != "locks" and not path.name.startswith(".tmp-")
    }


def looks(root: Path) -> list[tuple[str, int, int]]:
    """Return name, mode and time of change of all there is: what nobody may have touched."""
    return [(str(p), p.lstat().st_mode, p.lstat().st_ctime_ns) for p in sorted(root.rglob("*"))]


def write_newer(root: Path) -> None:
    (root / SCHEMA).write_text(json.dumps({"version": NEWEST + 1}))
    root.chmod(0o750)


def names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def with_kernel(root: Path) -> tuple[Path, str]:
    """Give the image a kernel, and return it with the digest that the manifest names."""
    [manifest] = root.glob("images/*/manifest.json")
    kernel = manifest.with_name("kernel")
    kernel.write_bytes(b"a kernel")
    return kernel, json.loads(manifest.read_bytes())["parts"]["kernel"]


def killed_at(root: Path, rename: int) -> int:
    command = [sys.executable, "-c", KILLED_AT, str(root), str(rename)]
    return subprocess.run(command).returncode


async def test_a_new_directory_is_private_and_has_the_newest_version(tmp_path: Path) -> None:
    root = tmp_path / "a" / "local"
    await prepare(root)
    assert mode(root) == 0o700
    assert version(root) == NEWEST


async def test_a_directory_that_others_can_enter_is_shut(tmp_path: Path) -> None:
    root = tmp_path / "local"
    await prepare(root)
    root.chmod(0o755)
    await prepare(root)
    assert mode(root) == 0o700


async def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    root = Path("/usr")
    if os.geteuid() == 0:
        root = tmp_path / "local"
        root.mkdir(mode=0o755)
        os.chown(root, 65534, 65534)
    before = looks(root) if os.geteuid() == 0 else None
    with pytest.raises(Unusable, match=r"belongs to (nobody|root|user \d+), and this is "):
        await prepare(root)
    if before is not None:
        assert (mode(root), looks(root)) == (0o755, before)


@pytest.mark.parametrize("place", ["file", "file/below"])
async def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match="directory"):
        await prepare(tmp_path / place)


async def test_a_directory_of_a_newer_version_is_left_alone(old: Path) -> None:
    write_newer(old)
    before = looks(old)
    with pytest.raises(Unusable, match=f"newer Nimbi .version {NEWEST + 1}"):
        async with open_hypervisor(old):
            pass
    assert (mode(old), looks(old)) == (0o750, before)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": "2"}', '{"version": 0}', '{"version": true}']
)
async def test_a_damaged_version_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / SCHEMA).write_text(text)
    with pytest.raises(Unusable, match="damaged"):
        await prepare(tmp_path)


def test_there_is_a_step_from_every_version_to_the_next() -> None:
    assert sorted(UPGRADES) == list(range(1, NEWEST))


async def test_guests_images_and_keys_of_version_1_are_there_after_the_upgrade(old: Path) -> None:
    async with open_hypervisor(old) as hypervisor:
        guests = {guest.id: guest for guest in await hypervisor.guests()}
        images = await hypervisor.images()
        keys = hypervisor.keys.all()
    assert version(old) == NEWEST
    assert (guests[FIRST].name, guests[FIRST].state) == ("Größe ✓", State.STOPPED)
    assert guests[SECOND].ports == {22: 29169, 80: 27028}
    assert {guest.image_id for guest in guests.values()} == {image.id for image in images}
    assert [key.name for key in keys] == ["k"]


async def test_the_content_of_images_of_version_1_is_shared_after_the_upgrade(old: Path) -> None:
    kernel, digest = with_kernel(old)
    await prepare(old)
    assert kernel.samefile(old / "images" / "blobs" / f"sha256-{digest}")


async def test_an_upgrade_that_is_killed_anywhere_is_finished_by_the_next(
    old: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(old, whole)
    await prepare(whole)
    rename, ended = 0, -signal.SIGKILL
    while ended:
        root = tmp_path / f"killed-at-{rename}"
        shutil.copytree(old, root)
        ended = killed_at(root, rename)
        assert ended in {0, -signal.SIGKILL}
        await prepare(root)
        assert content(root) == content(whole)
        rename += 1
    # One a guest, one for the version, and the run that nothing has killed.
    assert rename >= 4


async def test_of_two_servers_one_upgrades(old: Path) -> None:
    steps = old / "steps"

    def step(root: Path) -> None:
        with steps.open("a") as out:
            out.write("once\n")

    await asyncio.gather(*(asyncio.to_thread(asyncio.run, prepare(old, {1: step})) for _ in "12"))
    assert steps.read_text() == "once\n"


async def test_the_layout_names_all_that_a_server_makes(old: Path) -> None:
    async with open_hypervisor(old):
        made = names(old)
    assert made <= set(LAYOUT)
