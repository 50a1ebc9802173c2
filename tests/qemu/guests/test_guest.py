"""What a real guest does. The tests share one guest, which the last two end."""

import asyncio
import json
import urllib.request

import pytest

from nimbi.qemu import Failed, Guest, GuestSpec, Hypervisor, NotFound, State
from nimbi.qemu.guests.keys import generate

pytestmark = [pytest.mark.guest, pytest.mark.xdist_group("guest")]
BOOT_S = 120
RUNNING = frozenset({State.RUNNING, State.ERROR})
STOPPED = frozenset({State.STOPPED, State.ERROR})


async def fetch(guest: Guest, path: str = "/") -> str:
    url = f"http://{guest.address}:{guest.ports[80]}{path}"

    def read() -> str:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.read().decode()

    return await asyncio.to_thread(read)


async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    await writer.drain()
    writer.close()


async def test_its_page_shows_its_name_and_user_data_escaped(hypervisor, shared):
    guest = await hypervisor.guest(shared.id)
    page = await fetch(guest)
    assert f"<h1>{guest.host_name}</h1>" in page
    assert guest.id in page
    assert "from &lt;user&gt; &amp; data" in page


async def test_its_status_is_json(hypervisor, shared):
    guest = await hypervisor.guest(shared.id)
    status = json.loads(await fetch(guest, "/cgi-bin/status.json"))
    assert status["instance_id"] == guest.id
    assert status["boots"] >= 1


async def test_the_key_opens_ssh_and_user_data_has_run(hypervisor, shared):
    seen = "cat '/etc/a folder/file'; until [ -s /root/ran ]; do usleep 50000; done; cat /root/ran"
    ended = await hypervisor.run(shared.id, seen, shared.private_key)
    assert (ended.exit_code, ended.out) == (0, b"givenfrom <user> & data\n")


async def test_the_exit_code_and_both_outputs_of_a_command_are_told(hypervisor, shared):
    ended = await hypervisor.run(shared.id, "echo a; echo b >&2; exit 7", shared.private_key)
    assert (ended.exit_code, ended.out, ended.err) == (7, b"a\n", b"b\n")


async def test_another_key_does_not_open_ssh(hypervisor, shared):
    _, other = generate("ed25519")
    with pytest.raises(Failed):
        await hypervisor.run(shared.id, "true", other)


async def test_without_a_password_nobody_logs_in_by_one(hypervisor, shared):
    ended = await hypervisor.run(shared.id, "grep ^root: /etc/shadow", shared.private_key)
    assert ended.out.startswith(b"root:*:")


async def test_it_does_not_reach_what_listens_on_the_hosts_loopback(hypervisor, shared):
    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        gateway = "$(ip route | awk '/^default/ { print $3 }')"
        command = f"for at in {gateway} 10.0.2.2 127.0.0.1; do nc -w 1 $at {port} </dev/null; done"
        ended = await hypervisor.run(shared.id, command, shared.private_key)
    assert ended.out == b""


async def test_one_without_outgoing_traffic_reaches_nothing_and_is_served(hypervisor, shared):
    public, private = generate("ed25519")
    spec = GuestSpec(
        name="shut",
        image_id=shared.image_id,
        memory_mib=96,
        public_keys=(public,),
        outgoing=False,
        password="secret of the guest",
    )
    guest = await hypervisor.create(spec)
    guest = await hypervisor.wait(guest.id, RUNNING, BOOT_S)
    assert "<h1>shut</h1>" in await fetch(guest)
    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        command = f"nc -w 1 10.0.2.2 {server.sockets[0].getsockname()[1]} </dev/null"
        ended = await hypervisor.run(guest.id, command, private)
    assert ended.out == b""
    shadow = await hypervisor.run(guest.id, "grep ^root: /etc/shadow", private)
    assert shadow.out.startswith(b"root:$6$")
    await hypervisor.destroy(guest.id)


async def test_its_console_tells_of_the_boot(hypervisor, shared):
    assert b"nimbi: ready" in await hypervisor.console(shared.id)
    assert len(await hypervisor.console(shared.id, limit=10)) == 10


async def test_a_reboot_keeps_disk_ports_and_process(hypervisor: Hypervisor, shared):
    before = await hypervisor.guest(shared.id)
    booted = json.loads(await fetch(before, "/cgi-bin/status.json"))["boots"]
    await hypervisor.run(shared.id, "echo kept >/root/kept", shared.private_key)
    assert (await hypervisor.reboot(shared.id)).state is State.PENDING
    after = await hypervisor.wait(shared.id, RUNNING, BOOT_S)
    assert (after.state, after.ports, after.pid) == (State.RUNNING, before.ports, before.pid)
    status = json.loads(await fetch(after, "/cgi-bin/status.json"))
    assert status["boots"] == booted + 1
    ended = await hypervisor.run(shared.id, "cat /root/kept", shared.private_key)
    assert ended.out == b"kept\n"


async def test_stop_and_start_keep_disk_and_ports(hypervisor: Hypervisor, shared, running):
    before = await hypervisor.guest(shared.id)
    await hypervisor.run(shared.id, "echo stays >/root/stays", shared.private_key)
    assert (await hypervisor.stop(shared.id)).state is State.STOPPING
    stopped = await hypervisor.wait(shared.id, STOPPED, BOOT_S)
    assert (stopped.state, stopped.pid) == (State.STOPPED, None)
    assert running(shared.id) == []
    # Halted, not unplugged: its file system is clean.
    assert b"reboot: Power down" in await hypervisor.console(shared.id)
    await hypervisor.start(shared.id)
    after = await hypervisor.wait(shared.id, RUNNING, BOOT_S)
    assert (after.state, after.ports) == (State.RUNNING, before.ports)
    ended = await hypervisor.run(shared.id, "cat /root/stays", shared.private_key)
    assert ended.out == b"stays\n"


async def test_starting_what_runs_changes_nothing(hypervisor: Hypervisor, shared):
    before = await hypervisor.guest(shared.id)
    assert await hypervisor.start(shared.id) == before


async def test_powering_off_inside_is_seen(hypervisor: Hypervisor, shared):
    await hypervisor.run(shared.id, "(usleep 100000; poweroff -f) >&- 2>&- &", shared.private_key)
    guest = await hypervisor.wait(shared.id, STOPPED, BOOT_S)
    assert guest.state is State.STOPPED
    assert "powered itself off" in (guest.reason or "")


async def test_destroying_leaves_nothing(hypervisor: Hypervisor, shared, running):
    spec = GuestSpec(name="brief", image_id=shared.image_id, memory_mib=96)
    guest = await hypervisor.create(spec)
    guest = await hypervisor.wait(guest.id, RUNNING, BOOT_S)
    await hypervisor.destroy(guest.id)
    assert running(guest.id) == []
    assert list(shared.root.rglob(f"*{guest.id}*")) == []
    for port in guest.ports.values():
        with pytest.raises(OSError):
            await asyncio.open_connection(guest.address, port)
    with pytest.raises(NotFound):
        await hypervisor.destroy(guest.id)
