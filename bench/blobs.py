"""A blob of the mock cloud up and down, against nginx putting and serving the same bytes."""

from pathlib import Path

from bench.peers import nimbi
from bench.table import Line
from bench.transfers import lines

LOGIN = "mockuser:mockpassword"
PATH = "/api/buckets/bucket1/big"
ROUNDS = 3

# Of what nginx does with the disk's own files; design: facts on streaming.
GOALS = {"up": 0.75, "down": 0.8}


def measure(place: Path) -> list[Line]:
    with nimbi(place / "nimbi-blobs") as ours:
        return lines("mock", place, ours, LOGIN, PATH, GOALS, ROUNDS)
