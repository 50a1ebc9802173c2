"""`python -m tests.soak`: faults and load, then the count. Its last line is the result."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.soak.run import Size, soak
from tests.targets import postgres


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--kill-every", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--place", type=Path, help="keep logs, clouds and books in this directory")
    told = parser.parse_args()
    size = Size(told.seconds, told.clients, told.kill_every, told.seed)
    with postgres.running() as server, tempfile.TemporaryDirectory(prefix="nimbi-soak-") as place:
        verdict = asyncio.run(soak(server.new_database(), told.place or Path(place), size, _say))
    for finding in verdict.findings():
        _say(finding)
    _say(verdict.line())
    return 1 if any(verdict.counts.values()) else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
