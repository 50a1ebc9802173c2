"""Blobs of the driver s3: down and up against the store itself, in parts against its clients."""

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import nimbi
from bench.peers import nginx
from bench.peers import nimbi as serving
from bench.processes import MIB, Server, free_port, running
from bench.table import Line
from nimbi import Blobs, NewBlob
from nimbi.drivers.ec2.login import AccessKey

SIZE_MIB = 256
LARGE_MIB = 1024
ROUNDS = 3
STREAMS = 16
DOWN_GOAL, UP_GOAL = 0.8, 0.75
CROWD_GOAL = 0.55
STREAM_MIB = 1.0
PARTS_GOAL = 0.9
PATIENCE_S = 120

KEY, SECRET = "AKIATESTTESTTESTTEST", "secret"
LOGIN = f"{KEY}:{SECRET}"
AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def measure(place: Path) -> list[Line]:
    content = place / "s3-content"
    with content.open("wb") as file:
        for _ in range(LARGE_MIB):
            file.write(os.urandom(MIB))
    try:
        with store(SIZE_MIB * MIB) as there:
            lines = [_up(place, there, content), _in_parts(there, content)]
        return [*_down(place, content), *lines]
    finally:
        content.unlink()


@contextmanager
def store(size_bytes: int) -> Iterator[Server]:
    """Run a store of S3 whose blobs have so many bytes, and which forgets what it gets."""
    port = free_port()
    program = [sys.executable, Path(__file__).with_name("store.py"), str(port), str(size_bytes)]
    with running(program, port) as server:
        yield server


def _down(place: Path, content: Path) -> list[Line]:
    """Measure blobs on their way down from nginx, which has them on its disk."""
    walls: dict[str, list[float]] = {"down": [], "crowd": []}
    with nginx(place / "nginx-s3") as there:
        (place / "nginx-s3" / "files" / "bench").mkdir()
        blob = place / "nginx-s3" / "files" / "bench" / "blob"
        with blob.open("wb") as file, content.open("rb") as source:
            file.write(source.read(SIZE_MIB * MIB))
        with _through(place / "nimbi-down", there.url) as ours:
            direct, passed = f"{there.url}/bench/blob", f"{ours.url}/api/buckets/bench/blob/content"
            _curls(1, passed)
            ours.forget_peak()
            for _ in range(ROUNDS):
                walls["down"].append(_curls(1, direct) / _curls(1, passed))
            alone = ours.memory_mib("VmHWM")
            for _ in range(ROUNDS):
                walls["crowd"].append(_curls(STREAMS, direct) / _curls(STREAMS, passed))
            crowd = ours.memory_mib("VmHWM")
            _curls(1, "--limit-rate", "50M", passed)
            slow = ours.memory_mib("VmHWM")
        blob.unlink()
    return [
        _ratio(f"S3: blob of {SIZE_MIB} MiB down", walls["down"], DOWN_GOAL),
        _ratio(f"S3: {STREAMS} blobs of {SIZE_MIB} MiB down at once", walls["crowd"], CROWD_GOAL),
        Line(
            "S3: memory that each further stream adds",
            max(0.0, crowd - alone) / (STREAMS - 1),
            "MiB",
            STREAM_MIB,
            at_least=False,
            note=f"at most {crowd:.0f} MiB, {alone:.0f} with one up or down",
        ),
        Line(
            "S3: memory that a slow reader adds",
            max(0.0, slow - crowd),
            "MiB",
            STREAM_MIB,
            at_least=False,
        ),
    ]


def _up(place: Path, there: Server, content: Path) -> Line:
    """Measure a blob on its way up, in parts, to a store that forgets it."""
    upload = place / "s3-upload"
    with upload.open("wb") as file, content.open("rb") as source:
        file.write(source.read(SIZE_MIB * MIB))
    walls = []
    with _through(place / "nimbi-up", there.url) as ours:
        direct, passed = f"{there.url}/bench/blob", f"{ours.url}/api/buckets/bench/blob"
        for _ in range(ROUNDS):
            walls.append(
                _curls(1, "-T", str(upload), direct) / _curls(1, "-T", str(upload), passed)
            )
    upload.unlink()
    return _ratio(f"S3: blob of {SIZE_MIB} MiB up", walls, UP_GOAL)


@contextmanager
def _through(place: Path, url: str) -> Iterator[Server]:
    """Run Nimbi on a store of S3."""
    settings = {"AWS_ENDPOINT_URL_S3": url, **AWS_ENVIRONMENT}
    with _environment(settings), serving(place, "s3") as ours:
        yield ours


def _curls(count: int, *arguments: str) -> float:
    """Run so many curls at once, and return their seconds; a status that is not 2xx ends it."""
    command = ["curl", "-sSf", "-u", LOGIN, "-H", "Expect:", "-o", os.devnull, *arguments]
    began = time.perf_counter()
    running_now = [subprocess.Popen(command) for _ in range(count)]
    if any(process.wait() for process in running_now):
        raise SystemExit(f"curl failed: {arguments[-1]}")
    return time.perf_counter() - began


def _ratio(what: str, ratios: list[float], goal: float) -> Line:
    return Line(f"{what}, speed, of direct", statistics.median(ratios), "", goal)


def _in_parts(there: Server, content: Path) -> Line:
    walls: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        walls.setdefault("nimbi", []).append(asyncio.run(_upload(there.url, content)))
        for name, command in _peers(there.url, content).items():
            began = time.perf_counter()
            subprocess.run(
                command,
                env=os.environ | AWS_ENVIRONMENT,
                check=True,
                capture_output=True,
                timeout=PATIENCE_S,
            )
            walls.setdefault(name, []).append(time.perf_counter() - began)
    middles = {name: statistics.median(each) for name, each in walls.items()}
    ours = middles.pop("nimbi")
    if not middles:
        raise SystemExit("neither aws (PyPI: awscli) nor s3cmd is installed")
    note = ", ".join(f"{name} {wall:.1f} s" for name, wall in middles.items())
    return Line(
        f"S3: {LARGE_MIB} MiB up in parts, speed, of the best client",
        min(middles.values()) / ours,
        "",
        PARTS_GOAL,
        note=f"nimbi {ours:.1f} s, {note}",
    )


def _peers(url: str, content: Path) -> dict[str, list[str]]:
    host = url.partition("://")[2]
    found = {
        "aws": ["s3", "cp", "--endpoint-url", url, "--no-progress", str(content), "s3://bbb/k"],
        "s3cmd": [
            *("--no-ssl", f"--host={host}", f"--host-bucket={host}", "-c", os.devnull),
            *("--access_key", KEY, "--secret_key", SECRET, "--no-progress"),
            *("put", str(content), "s3://bbb/k"),
        ],
    }
    return {
        name: [program, *arguments]
        for name, arguments in found.items()
        if (program := shutil.which(name))
    }


async def _upload(url: str, content: Path) -> float:
    login = AccessKey(KEY, SECRET)
    began = time.perf_counter()
    async with nimbi.connect("s3", provider=url, credentials=login) as cloud:
        new = NewBlob(bucket_id="bbb", id="k", size_bytes=LARGE_MIB * MIB)
        await cloud.call(Blobs.write, new, _read(content))
    return time.perf_counter() - began


async def _read(content: Path) -> AsyncIterator[bytes]:
    with content.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, MIB):
            yield chunk


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    import tempfile

    from bench.table import show

    with tempfile.TemporaryDirectory() as name:
        show(measure(Path(name)))
