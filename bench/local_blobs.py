"""The local cloud's blobs: up and down against nginx, lists against the file system's own."""

import asyncio
import os
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import nimbi
from bench.peers import nimbi as serving
from bench.table import Line
from bench.transfers import curl, lines
from nimbi import BlobFilter, Blobs, NewBlob, NewBucket
from nimbi.driver.interface import Place
from nimbi.drivers.local.login import own_login

ROUNDS = 5
GOALS = {"up": 0.8, "down": 0.8}

LISTED = 100_000
LIST_ROUNDS = 5
LIST_GOAL = 1.5

SMALL = 500


def measure(place: Path) -> list[Line]:
    return [*_transfers(place), *asyncio.run(_lists(place / "listed")), *_small(place / "small")]


def _transfers(place: Path) -> list[Line]:
    state = place / "local-blobs"
    with serving(state, "local") as ours:
        login = own_login(None, Place(state / "state" / "local"))
        user = f"{login.user}:{login.password}"
        curl(user, "-d", "name=bench", f"{ours.url}/api/buckets")
        return lines("local", place, ours, user, "/api/buckets/bench/big", GOALS, ROUNDS)


async def _lists(state: Path) -> list[Line]:
    names = [f"folder/blob-{number:08d}.txt" for number in range(LISTED)]
    files = state / "files"
    files.mkdir(parents=True)
    for name in names:
        (files / name.replace("/", "-")).touch()
    async with nimbi.connect("local", state_dir=state / "state") as cloud:
        await cloud.call(nimbi.Buckets.create, NewBucket(name="bench"))
        for name in ("a", "folder/", "z"):
            await cloud.call(Blobs.write, NewBlob(bucket_id="bench", id=name), _once(b"x"))
        _copy_rows(state / "state" / "local" / "blobs" / "index.db", names)
        walls: dict[str, list[float]] = {"nimbi": [], "bare": [], "facts": []}
        for _ in range(LIST_ROUNDS):
            began = time.perf_counter()
            where = BlobFilter(prefix="folder/blob-")
            found = [blob async for blob in cloud.each(Blobs.page, "bench", where=where)]
            walls["nimbi"].append(time.perf_counter() - began)
            if len(found) != LISTED:
                raise SystemExit(f"the list has {len(found)} blobs, not {LISTED}")
            walls["bare"].append(_seconds(lambda: [entry.name for entry in os.scandir(files)]))
            walls["facts"].append(_seconds(lambda: _with_facts(files)))
    return [
        _listed(walls, "facts", "os.scandir with each file's size and time, in order"),
        _listed(walls, "bare", "os.scandir of names alone, in no order"),
    ]


def _copy_rows(index: Path, names: list[str]) -> None:
    """Let many names stand for one content: lists never look at contents."""
    with sqlite3.connect(index) as db:
        db.executemany(
            "insert into blob select bucket, ?, size, etag, type, modified_us, metadata, content,"
            " parts from blob where bucket = 1 and name = ?",
            [(name.encode(), b"a") for name in names],
        )
    db.close()


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _with_facts(files: Path) -> list[tuple[str, int, int]]:
    facts = [(e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in os.scandir(files)]
    facts.sort()
    return facts


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _listed(walls: dict[str, list[float]], peer: str, what: str) -> Line:
    ratio = statistics.median(a / b for a, b in zip(walls["nimbi"], walls[peer], strict=True))
    ours, theirs = statistics.median(walls["nimbi"]), statistics.median(walls[peer])
    return Line(
        f"local: list of {LISTED:,} blobs by prefix, wall, of {what}",
        ratio,
        "",
        LIST_GOAL,
        at_least=False,
        note=f"{ours * 1000:.0f} of {theirs * 1000:.0f} ms",
    )


def _small(place: Path) -> list[Line]:
    """Return what it costs to keep a small blob safe from a power cut."""
    place.mkdir()
    return asyncio.run(_synced(place))


async def _synced(place: Path) -> list[Line]:
    synced = _seconds(lambda: [_file(place / f"file-{n}") for n in range(SMALL)])
    async with nimbi.connect("local", state_dir=place / "state") as cloud:
        await cloud.call(nimbi.Buckets.create, NewBucket(name="bench"))
        began = time.perf_counter()
        for number in range(SMALL):
            await cloud.call(Blobs.write, NewBlob(bucket_id="bench", id=str(number)), _once(b"x"))
        wall = time.perf_counter() - began
    return [
        Line(
            "local: small blobs one by one, wall, of files written, synced and renamed",
            wall / synced,
            note=f"{wall / SMALL * 1e3:.2f} of {synced / SMALL * 1e3:.2f} ms each",
        )
    ]


def _file(path: Path) -> None:
    with path.with_suffix(".new").open("wb") as file:
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
    path.with_suffix(".new").rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
