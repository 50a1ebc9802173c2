"""Processes, files and locks of the machine below."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nimbi.qemu import TimedOut
from nimbi.qemu.guests.record import now
from nimbi.qemu.host.engine import Verdict, _remembered
from nimbi.qemu.host.files import (
    locked,
    put_away,
    sweep,
    try_lock,
    workspace,
    write_atomically,
    write_json,
)
from nimbi.qemu.host.process import alive, ended, identify, kill


def test_a_reused_process_id_is_another_process():
    me = identify(os.getpid())
    assert me
    assert alive(me)
    assert not alive(replace(me, ticks=me.ticks + 1))
    assert not alive(replace(me, boot_id="another"))


@pytest.fixture
def child() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


async def test_a_killed_process_that_nobody_reaps_is_dead(child: int):
    found = identify(child)
    assert found
    kill(found)
    assert await ended(found, 10)
    kill(found)


# Its first thread ends, which the system shows as the remains of the whole process.
HEADLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print("ready", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.fixture
def headless() -> Iterator[int]:
    command = [sys.executable, "-c", HEADLESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        until = time.monotonic() + 10
        while " Z " not in Path(f"/proc/{process.pid}/stat").read_text():
            assert time.monotonic() < until
            time.sleep(0.01)
        yield process.pid
        process.kill()


async def test_a_process_of_which_any_thread_is_left_is_alive(headless: int):
    found = identify(headless)
    assert found
    assert alive(found)
    kill(found)
    assert await ended(found, 10)


def test_a_lock_on_a_removed_file_does_not_count(tmp_path: Path):
    first = try_lock(tmp_path / "l")
    assert first is not None
    assert try_lock(tmp_path / "l") is None
    (tmp_path / "l").unlink()
    second = try_lock(tmp_path / "l")
    assert second is not None
    os.close(first)
    assert try_lock(tmp_path / "l") is None
    os.close(second)


async def test_a_lock_that_is_kept_is_given_up(tmp_path: Path):
    async with locked(tmp_path / "l"):
        with pytest.raises(TimedOut):
            async with locked(tmp_path / "l", within_s=0.01):
                pass


def names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


async def test_a_sweep_spares_workspaces_in_use(tmp_path: Path):
    (tmp_path / ".new-torn").mkdir()
    async with workspace(tmp_path) as work:
        sweep(tmp_path)
        assert names(tmp_path) == [work.parent.name]
    assert names(tmp_path) == []


def test_a_sweep_in_the_midst_of_a_removal_does_not_keep_the_thing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "thing" / "inner").mkdir(parents=True)
    rename = Path.rename

    def amid_sweeps(self: Path, target: Path) -> Path:
        sweep(tmp_path)
        renamed = rename(self, target)
        sweep(tmp_path)
        return renamed

    monkeypatch.setattr(Path, "rename", amid_sweeps)
    put_away(tmp_path / "thing")
    assert names(tmp_path) == []


def test_what_a_cut_removal_left_does_not_stand_in_the_way(tmp_path: Path):
    for place in ("thing", ".new-thing"):
        (tmp_path / place / "inner").mkdir(parents=True)
    put_away(tmp_path / "thing")
    assert names(tmp_path) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    write_atomically(tmp_path / "f", b"old")
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "f", "text")  # type: ignore[arg-type]
    assert (tmp_path / "f").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]


def test_the_probe_s_answer_counts_for_its_qemu_and_a_refusal_not_for_ever(tmp_path: Path):
    file = tmp_path / "kvm.json"
    fresh = now().timestamp()
    assert _remembered(file, "k") is None
    for works, at, kept in ((True, 0.0, True), (False, fresh, True), (False, 0.0, False)):
        write_json(file, vars(Verdict(key="k", works=works, reason="", at=at)))
        assert (_remembered(file, "k") is not None) is kept
        assert _remembered(file, "other") is None
    file.write_text("{")
    assert _remembered(file, "k") is None
