"""Servers run on uvloop, whose subprocesses and sockets behave otherwise."""

import asyncio
import os

import pytest
import uvloop

from nimbi.qemu import GuestSpec, State, TimedOut, open_hypervisor
from nimbi.qemu.host.execution import execute

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
ANY = {"PATH": "/usr/bin:/bin"}


def run_on(loop, work):
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(work)


def sh(script: str, **more):
    return execute(["/bin/sh", "-c", script], environment=ANY, **{"within_s": 30, **more})


@LOOPS
def test_a_program_is_fed_and_heard(loop):
    ended = run_on(loop, sh("cat; echo b >&2; exit 3", stdin=b"a" * 200_000))
    assert (ended.exit_code, ended.err, ended.truncated) == (3, b"b\n", False)
    assert ended.out == b"a" * 200_000


@LOOPS
def test_a_program_that_ends_without_reading_does_no_harm(loop):
    assert run_on(loop, sh("exit 0", stdin=b"a" * 10_000_000)).exit_code == 0


@LOOPS
def test_too_much_output_is_cut_and_the_program_goes_on(loop):
    ended = run_on(loop, sh("head -c 300000 /dev/zero; exit 4", limit_bytes=1000))
    assert (ended.exit_code, len(ended.out), ended.truncated) == (4, 1000, True)


@LOOPS
def test_what_a_program_leaves_behind_does_not_hold_us_up(loop):
    ended = run_on(loop, sh("sleep 60 & echo $!"))
    run_on(loop, sh(f"kill {int(ended.out)}"))
    assert ended.exit_code == 0


@LOOPS
def test_a_late_program_is_killed(loop):
    with pytest.raises(TimedOut):
        run_on(loop, sh("exec sleep 600", within_s=0.05))


@LOOPS
def test_a_cancelled_program_is_killed(loop, tmp_path):
    # The program says by the pipe that it has begun.
    os.mkfifo(tmp_path / "pid")

    async def cancel() -> str:
        task = asyncio.create_task(sh(f"echo $$ >{tmp_path}/pid; exec sleep 600"))
        pid = await asyncio.to_thread((tmp_path / "pid").read_text)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid.strip()

    assert run_on(loop, sh(f"kill -0 {run_on(loop, cancel())}")).exit_code


@pytest.mark.guest
def test_a_guest_lives_and_stops_on_uvloop(root, image, running):
    async def live() -> None:
        async with open_hypervisor(root) as hypervisor:
            spec = GuestSpec(name="uv", image_id=image.id, memory_mib=96)
            guest = await hypervisor.create(spec)
            guest = await hypervisor.wait(guest.id, frozenset({State.RUNNING, State.ERROR}), 120)
            assert guest.state is State.RUNNING
            await hypervisor.stop(guest.id)
            await hypervisor.wait(guest.id, frozenset({State.STOPPED}), 120)
            await hypervisor.destroy(guest.id)
            assert running(guest.id) == []

    run_on(uvloop.new_event_loop, live())
