"""Three real `nimbi serve` on one PostgreSQL, and who kills one of them every few seconds."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tests.soak.clouds import NAMES
from tests.targets.stores import free_port

ROOT = Path(__file__).parents[2]
START_S = 120.0
# Requests in flight have 30 s of it, and the machine may have much else to do.
STOP_S = 90.0

# Throttles, stalls, loses replies, runs dry.
FAULTS: Mapping[str, Mapping[str, Any]] = {
    "east": {
        "throttle": {"every": 40, "retry_after_s": 0.2},
        "latency": {"seconds": 0.02, "jitter_s": 0.05},
    },
    "west": {
        "latency": {"seconds": 6.0, "jitter_s": 2.0, "probability": 0.02},
        "short_page": {"size": 7},
    },
    "north": {
        "lost_reply": {"probability": 0.08},
        "outage": {"probability": 0.02},
    },
    "south": {
        "out_of_capacity": {"probability": 0.15},
        "quota": {"instances": 40},
        "lost_reply": {"probability": 0.05},
        "stale_list": {"changes": 2, "age_s": 0.5, "probability": 0.3},
    },
}
# A stall is longer than a call may take.
CALLS = {"deadline_s": 5.0, "backoff_s": 0.1}


@dataclass
class Site:
    """What all processes share. `place` is a directory of our own."""

    place: Path
    database: str
    key: str
    faulty: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Let processes find our clouds, as they find drivers that are installed."""
        info = self.place / "soak-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: soak\nVersion: 1\n")
        points = [f"{name} = tests.soak.clouds:{name.upper()}" for name in NAMES]
        (info / "entry_points.txt").write_text("\n".join(["[nimbi.drivers]", *points, ""]))

    def cloud(self, name: str) -> Path:
        return self.place / "clouds" / name

    def settings(self, number: int) -> Path:
        """Write the settings file of one process, and return it."""
        lines = ["[server]", 'driver = "nimbi"', 'frontends = ["native"]', 'host = "127.0.0.1"']
        lines += ['log_format = "json"', "access_log = false"]
        for name in NAMES:
            lines += [f"[drivers.{name}]", f"storage = {json.dumps(str(self.cloud(name)))}"]
            lines += _table(f"drivers.{name}.calls", CALLS)
            for fault, told in FAULTS[name].items() if self.faulty else ():
                lines += _table(f"drivers.{name}.faults.{fault}", told)
        file = self.place / f"server-{number}.toml"
        file.write_text("\n".join(lines) + "\n")
        return file


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    return [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]


class Process:
    """One server on a port that it keeps when it is started anew.

    `source` is where its code is, None for the code of this tree.
    """

    def __init__(self, site: Site, number: int, source: Path | None = None) -> None:
        self.site = site
        self.number = number
        self.source = source
        self.port = free_port()
        self.popen: subprocess.Popen[bytes] | None = None
        self.kills = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.site.place / f"server-{self.number}.log"

    def start(self) -> None:
        """Start the server, and do not wait for it."""
        paths = [str(self.source)] if self.source else []
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("NIMBI_", "API_"))},
            **self.site.environment,
            "PYTHONPATH": os.pathsep.join([*paths, str(ROOT), str(self.site.place)]),
            "NIMBI_STATE_DIR": str(self.site.place / f"state-{self.number}"),
            "NIMBI_DATABASE": self.site.database,
            "NIMBI_KEY": self.site.key,
        }
        command = [sys.executable, "-c", "from nimbi.cli.entry import run; run()", "serve"]
        command += ["--port", str(self.port), "--config", str(self.site.settings(self.number))]
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    async def ready(self) -> None:
        """Wait until it serves."""
        assert self.popen is not None
        async with aiohttp.ClientSession() as session, asyncio.timeout(START_S):
            while True:
                if self.popen.poll() is not None:
                    raise RuntimeError(f"server {self.number}: {self.log.read_text()[-3000:]}")
                try:
                    async with session.get(f"{self.url}/healthz"):
                        return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)

    def kill(self) -> None:
        """Kill it where it stands."""
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait()

    async def stop(self) -> int:
        """Ask it to end, and return its status."""
        assert self.popen is not None
        self.popen.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self.popen.wait, STOP_S)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"server {self.number}: {self.log.read_text()[-3000:]}") from error


async def kill_now_and_then(
    processes: Sequence[Process], every_s: float, dice: random.Random
) -> None:
    """Kill one process after the other, each some seconds after the last, for ever.

    The last is back before: on a machine with so much to do that a start takes longer, there would
    soon be nobody left.
    """
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due = max(due + every_s, loop.time())
        await asyncio.sleep(due - loop.time())
        victim = dice.choice(processes)
        await asyncio.to_thread(victim.kill)
        victim.kills += 1
        victim.start()
        await victim.ready()
