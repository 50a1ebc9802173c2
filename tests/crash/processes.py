"""Processes of one scene: the one that dies, and those that go on."""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.crash.points import Points
from tests.crash.scenes import JOB, Scene
from tests.crash.stage import Stage

from nimbi.broker.site import Broker
from nimbi.model.errors import NotFound

GONE = "gone"
NAMES = "points"
HOLDER = "holder"
# Far more than it takes where nothing else is done: what is late at last is stuck.
PATIENCE_S = 240.0
LATE = 99
LOOK_S = 0.01


@dataclass(frozen=True)
class Outcome:
    """Whether the first process was killed, and whether the others came to an end in time."""

    is_killed: bool
    is_over: bool


def play(stage: Stage, scene: Scene, *, at: str | None, processes: int, faults: str) -> Outcome:
    """Play a scene; the process that starts the job dies at a point.

    With one process, the next begins when it is dead; with more, the others are there already. What
    the dead one held by a lease is free at once, as if so much time had passed.
    """
    beside = processes - 1
    others = [
        _forked(stage, lambda number=number: _follow(stage, scene, faults, is_next=number == 0))
        for number in range(beside)
    ]
    first = _forked(stage, lambda: _lead(stage, scene, at, faults))
    status = _ended([first])
    (stage.folder / GONE).touch()
    is_killed = status.get(first) == -signal.SIGKILL
    if beside == 0 and is_killed:
        others = [_forked(stage, lambda: _follow(stage, scene, faults, is_next=True))]
    statuses = _ended(others)
    return Outcome(is_killed, (is_killed or status.get(first) == 0) and not any(statuses.values()))


def names(stage: Stage) -> list[str]:
    """Return the points that the first process passed to its end."""
    return (stage.folder / NAMES).read_text().splitlines()


def _forked(stage: Stage, body: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = (stage.folder / f"log-{os.getpid()}").open("w", buffering=1)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, force=True)
        faulthandler.enable()
        faulthandler.dump_traceback_later(PATIENCE_S - 10)
        body()
        code = 0
    except BaseException:
        logging.exception("a process of the scene failed")
    finally:
        os._exit(code)


def _ended(pids: list[int]) -> dict[int, int]:
    """Wait for processes; return their exit codes, LATE for those that took too long."""
    codes: dict[int, int] = {}
    late: set[int] = set()
    until = time.monotonic() + PATIENCE_S
    while len(codes) < len(pids):
        for pid in pids:
            if pid in codes:
                continue
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                late.add(pid)
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[pid] = LATE if pid in late else os.waitstatus_to_exitcode(status)
        time.sleep(LOOK_S)
    return codes


def _lead(stage: Stage, scene: Scene, at: str | None, faults: str) -> None:
    points = Points(at)
    points.install()

    async def main() -> None:
        async with stage.opened(scene, points, faults) as broker, broker.jobs.running():
            (stage.folder / HOLDER).write_text(broker.holder)
            points.is_counting = True
            if not (await scene.play(broker)).is_ended:
                raise TimeoutError("the job did not come to its end")
            points.is_counting = False

    asyncio.run(main())
    (stage.folder / NAMES).write_text("\n".join(points.names))


def _follow(stage: Stage, scene: Scene, faults: str, *, is_next: bool) -> None:
    gone: Path = stage.folder / GONE
    holder: Path = stage.folder / HOLDER

    async def main() -> None:
        async with stage.opened(scene, None, faults) as broker:
            # Later than the first process by so much that the job is that one's.
            while not (gone.exists() or await _is_begun(broker)):  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(LOOK_S)
            async with broker.jobs.running():
                await _appeared(gone)
                if is_next:
                    await stage.let_go(holder.read_text())  # noqa: ASYNC240
                    # Who asked got no answer, and asks again.
                    await scene.play(broker)
                while not await _is_ended(broker):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_S)

    asyncio.run(main())


async def _appeared(file: Path) -> None:
    # It is another process that makes it.
    while not file.exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(LOOK_S)


async def _is_begun(broker: Broker) -> bool:
    try:
        return (await broker.jobs.get(JOB)).attempt > 0
    except NotFound:
        return False


async def _is_ended(broker: Broker) -> bool:
    try:
        return (await broker.jobs.wait(JOB, PATIENCE_S)).is_ended
    except NotFound:
        return False
