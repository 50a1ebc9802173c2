"""The pieces under the guests."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pycdlib
import pytest

from nimbi.qemu import Capacity, Failed, TimedOut, ports
from nimbi.qemu.console import MAX_BYTES, trim_all
from nimbi.qemu.engine import Verdict, _remembered
from nimbi.qemu.files import locked, sweep, try_lock, workspace, write_atomically, write_json
from nimbi.qemu.guests import GuestStore
from nimbi.qemu.process import Process, alive, boot_id, ended, identify, kill
from nimbi.qemu.qmp import conversation
from nimbi.qemu.record import CONSOLE, Record, State, Wanted, load, now, save, view
from nimbi.qemu.seed import Seed, iso
from nimbi.qemu.ssh import host_keys
from nimbi.qemu.worker import Duty, duty

RECORD = Record(
    id="i-0123456789abcdef",
    name="n",
    image_id="img-1",
    cpus=1,
    memory_mib=96,
    disk_gib=1,
    host_name="n",
    ports={80: 20000},
    outgoing=True,
    labels={},
    spec_digest="",
    machine="pc",
    created_at=now(),
)


def test_the_seed_holds_what_was_given():
    files = {"/a b": b"c"}
    made = iso(Seed(instance_id="i-1", host_name="h", user_data=b"u\0", user_files=files))
    disc = pycdlib.PyCdlib()
    disc.open_fp(BytesIO(made))
    assert disc.pvd.volume_identifier.strip() == b"cidata"
    seen = {}
    for path in ("/user-data", "/meta-data", "/vendor-data", "/nimbi/files", "/nimbi/file0"):
        out = BytesIO()
        disc.get_file_from_iso_fp(out, rr_path=path)
        seen[path] = out.getvalue()
    disc.close()
    assert seen["/user-data"] == b"u\0"
    assert seen["/nimbi/files"] == b"0 600 /a b\n"
    assert seen["/nimbi/file0"] == b"c"
    # What cloud-init reads: YAML holds JSON.
    assert seen["/vendor-data"].startswith(b"#cloud-config\n{")
    assert json.loads(seen["/vendor-data"].partition(b"\n")[2])["write_files"] == [
        {"path": "/a b", "permissions": "0600", "encoding": "b64", "content": "Yw=="}
    ]
    assert seen["/meta-data"].startswith(b"instance-id: i-1\nlocal-hostname: h\n")


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


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    write_atomically(tmp_path / "f", b"old")
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "f", "text")  # type: ignore[arg-type]
    assert (tmp_path / "f").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]


def test_a_record_is_read_as_it_was_written(tmp_path: Path):
    record = replace(RECORD, process=Process(pid=1, ticks=2, boot_id="b"), stop_by=now())
    save(tmp_path, record)
    assert load(tmp_path) == record
    assert load(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("change", "state", "due"),
    [
        ({}, State.PENDING, Duty.BOOT),
        ({"launching": True}, State.PENDING, Duty.RECOVER),
        ({"error": "why"}, State.ERROR, None),
        ({"wanted": Wanted.STOPPED}, State.STOPPED, None),
        ({"wanted": Wanted.GONE}, State.STOPPING, Duty.REMOVE),
        ({"process": Process(pid=1, ticks=-1, boot_id=boot_id())}, State.STOPPED, None),
        ({"process": Process(pid=1, ticks=-1, boot_id="earlier")}, State.PENDING, Duty.BOOT),
    ],
)
def test_state_and_duty_follow_from_the_record(tmp_path: Path, change, state, due):
    record = replace(RECORD, **change)
    assert (view(tmp_path, record).state, duty(record)) == (state, due)


def test_a_guest_that_lives_is_ready_only_when_it_says_so(tmp_path: Path):
    record = replace(RECORD, process=identify(os.getpid()), started_at=now(), console_offset=13)
    (tmp_path / CONSOLE).write_bytes(b"nimbi: ready\n")
    assert view(tmp_path, record).state is State.PENDING
    late = replace(record, started_at=record.created_at.replace(year=2000))
    assert view(tmp_path, late).state is State.ERROR
    (tmp_path / CONSOLE).write_bytes(b"nimbi: ready\nnimbi: ready\n")
    assert view(tmp_path, record).state is State.RUNNING
    assert view(tmp_path, replace(record, wanted=Wanted.STOPPED)).state is State.STOPPING
    assert duty(replace(record, wanted=Wanted.STOPPED)) is Duty.STOP
    assert duty(replace(record, rebooting=True)) is Duty.REBOOT


def test_ports_that_others_hold_are_not_chosen():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        renewed = ports.renewed({80: port, 22: 1}, taken=set())
    assert renewed[80] != port
    assert ports.FIRST <= renewed[80] <= ports.LAST
    with pytest.raises(Capacity):
        ports.choose([80], taken=range(ports.FIRST, ports.LAST + 1))


def test_a_console_is_cut_to_its_end(tmp_path: Path):
    store = GuestStore(tmp_path)
    place = store.directory(RECORD.id)
    place.mkdir()
    (place / CONSOLE).write_bytes(b"x" * MAX_BYTES + b"the end")
    trim_all(store, [RECORD])
    assert (place / CONSOLE).read_bytes().endswith(b"x" * 100 + b"the end")
    assert (place / CONSOLE).stat().st_size == 2**20


def test_the_newest_host_key_counts():
    said = b"nimbi: host-key ssh-ed25519 AAAA root@a\r\n..\nnimbi: host-key ssh-ed25519 BBBB x\r\n"
    assert host_keys(said) == ("ssh-ed25519 BBBB",)
    assert host_keys(b"x nimbi: host-key ssh-ed25519 AAAA\n") == ()


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


async def test_a_socket_s_path_may_be_long_and_a_silent_qemu_is_an_error(tmp_path: Path):
    place = tmp_path / ("d" * 100) / ("e" * 100)
    place.mkdir(parents=True)
    with pytest.raises(Failed):
        async with conversation(place / "s"):
            pass

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    directory = os.open(place, os.O_PATH)
    server = await asyncio.start_unix_server(hang_up, f"/proc/self/fd/{directory}/s")
    async with server:
        with pytest.raises(Failed):
            async with conversation(place / "s"):
                pass
    os.close(directory)
