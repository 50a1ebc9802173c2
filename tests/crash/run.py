"""All points of a scene, one after the other, and what came of it."""

import json
import os
import shutil
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.crash.processes import names, play
from tests.crash.scenes import JOB, Scene
from tests.crash.stage import End, Stage, copied, end_of, prepare
from tests.targets import postgres
from tests.targets.postgres import Server

from nimbi.store.place import place_of, url_of

DATABASES = ("sqlite", "postgresql")
PROCESSES = (1, 3)
# How often a process is sent to a point that it does not come to.
TRIES = 3


@dataclass
class Verdict:
    """What came of one death; not `is_killed`: the process came to its end without that point."""

    name: str
    is_killed: bool
    is_same: bool
    leaked: int
    doubled: int
    text: str = ""


@dataclass
class Row:
    """What came of all deaths of one scene on one database.

    `points` is how many there are, `moments` in how many of them something differs (see `moments`),
    `tried` in how many of these a death was tried, and `killed` how many deaths there were. What is
    done by the clock does not come each time.
    """

    scene: str
    database: str
    processes: int
    faults: str
    points: int = 0
    moments: int = 0
    tried: int = 0
    killed: int = 0
    same: int = 0
    leaked: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one death."""
        self.tried += 1
        self.killed += verdict.is_killed
        self.same += verdict.is_same and verdict.is_killed
        self.leaked += verdict.leaked
        self.doubled += verdict.doubled
        if not verdict.is_same:
            self.wrong.append(f"{verdict.name}: {verdict.text}")


@contextmanager
def server(databases: Sequence[str]) -> Iterator[Server | None]:
    """Run PostgreSQL, when it is asked for."""
    if "postgresql" not in databases:
        yield None
        return
    with postgres.running() as running:
        yield running


def enumerated(
    scene: Scene,
    database: str,
    processes: int,
    faults: str,
    *,
    postgresql: Server | None,
    every: int = 1,
    first: int = 0,
    most: int | None = None,
    at_once: int = 2,
) -> Row:
    """Kill the process in every moment (or each n-th, from the first on), and judge each end.

    There are `most` deaths at the most, as far apart as can be.
    """
    row = Row(scene.name, database, processes, faults)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nimbi-crash-")))
        template = _template(scene, database, root, postgresql)
        whole = copied(template, root / "whole", postgresql)
        if not play(whole, scene, at=None, processes=1, faults=faults).is_over:
            logs = "\n".join(file.read_text()[-4000:] for file in whole.folder.glob("log-*"))
            raise RuntimeError(
                f"{scene.name}: even undisturbed it does not come to its end\n{logs}"
            )
        points, right = names(whole), end_of(whole, scene, JOB)
        apart = moments(points)
        row.points, row.moments = len(points), len(apart)
        if most is not None:
            every = max(every, -(-(len(apart) - first) // most))
        left = [(at, apart[at]) for at in range(first, len(apart), every)]
        running: dict[int, Path] = {}
        stack.callback(_stopped, running)
        while left or running:
            while left and len(running) < at_once:
                at, name = left.pop(0)
                folder = root / f"at-{at}"
                pid = os.fork()
                if pid == 0:
                    _judge_one(template, folder, scene, name, processes, faults, right, postgresql)
                running[pid] = folder.with_suffix(".json")
            pid, _status = os.wait()
            file = running.pop(pid)
            row.add(Verdict(**json.loads(file.read_text())))
    return row


def moments(points: Sequence[str]) -> list[str]:
    """Return the points at which deaths differ.

    Between the end of one call or commit and the beginning of the next nothing lasting is done: who
    dies after the one dies before the other, and is counted once.
    """
    sides = [name.partition(" ")[0] for name in points]
    return [
        name
        for at, name in enumerate(points)
        if at == 0 or (sides[at - 1], sides[at]) != ("after", "before")
    ]


def _stopped(running: Iterable[int]) -> None:
    """Stop the deaths that are still played, with all their processes."""
    for pid in running:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _template(scene: Scene, database: str, root: Path, postgresql: Server | None) -> Stage:
    folder = root / "template"
    folder.mkdir()
    if database == "sqlite":
        stage = Stage(url_of(folder / "nimbi.db"), folder)
    else:
        assert postgresql is not None
        stage = Stage(postgresql.new_database(), folder)
    # In a process of its own: this one forks, and must have no threads.
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            import asyncio

            asyncio.run(prepare(stage, scene))
            code = 0
        except BaseException:  # noqa: BLE001 - it is told
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("the database could not be prepared")
    return stage


def _judge_one(
    template: Stage,
    folder: Path,
    scene: Scene,
    name: str,
    processes: int,
    faults: str,
    right: End,
    postgresql: Server | None,
) -> None:
    """Play one death, in a process of its own, and leave the verdict beside its folder."""
    os.setpgid(0, 0)
    verdict = Verdict(name, False, False, 0, 0)
    try:
        for _ in range(TRIES):
            stage = copied(template, folder, postgresql)
            outcome = play(stage, scene, at=name, processes=processes, faults=faults)
            verdict.is_killed = outcome.is_killed
            if not outcome.is_over:
                verdict.text = "it did not come to an end\n" + _logs(stage)
            else:
                judge(verdict, end_of(stage, scene, JOB), right)
                if not verdict.is_same:
                    verdict.text += "\n" + _logs(stage)
            _cleared(stage, postgresql)
            if verdict.is_killed or not verdict.is_same:
                break
    except BaseException:  # noqa: BLE001 - it is told
        verdict.text = traceback.format_exc()
    finally:
        folder.with_suffix(".json").write_text(json.dumps(asdict(verdict)))
        os._exit(0)


def _cleared(stage: Stage, postgresql: Server | None) -> None:
    name = place_of(stage.url).url.database
    if postgresql is not None and place_of(stage.url).file is None:
        postgresql.run(f"drop database if exists {name} with (force)")
    shutil.rmtree(stage.folder, ignore_errors=True)


def judge(verdict: Verdict, end: End, right: End) -> None:
    """Compare an end with the right one."""
    more = Counter(end.things) - Counter(right.things)
    for thing, count in more.items():
        if thing in right.things:
            verdict.doubled += count
        else:
            verdict.leaked += count
    # What is reserved for nothing is leaked too, and an intent that nobody closes.
    verdict.leaked += max(0, end.reserved - right.reserved)
    verdict.leaked += max(0, end.open_intents - right.open_intents)
    verdict.is_same = end == right
    if not verdict.is_same:
        verdict.text = f"it came to {end}, and not to {right}"


def _logs(stage: Stage) -> str:
    parts = [f"{file.name}\n{file.read_text()[-6000:]}" for file in stage.folder.glob("log-*")]
    return "\n".join(parts)
