"""The pieces that guests are made of."""

import asyncio
import json
import os
import socket
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pycdlib
import pytest

from nimbi.qemu import Capacity, Failed
from nimbi.qemu.guests.console_log import MAX_BYTES, trim_all
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import CONSOLE, Record, State, Wanted, load, now, save, view
from nimbi.qemu.guests.seed import Seed, iso
from nimbi.qemu.guests.ssh import host_keys
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.guests.worker import Duty, duty
from nimbi.qemu.host.process import Process, boot_id, identify
from nimbi.qemu.network import ports

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
