"""The native API: requests with a token for each second of the server's CPU time."""

import asyncio
import statistics
from pathlib import Path

from bench.peers import nginx, nimbi
from bench.requests import ROUNDS, Target
from bench.table import Line
from nimbi.cli.here import first_token
from nimbi.client import SyncClient
from nimbi.model.accounts import NewAccount
from nimbi.settings import Settings

FLOOR = "nginx"

# What is asked, and at least how much of nginx's constant it is to be; None: for information. A
# list is written once for as long as the cloud gives the very same one, and a filtered one anew.
ASKED: dict[str, tuple[str, float | None]] = {
    "GET /v1/accounts/mock/instances": ("/v1/accounts/mock/instances", 0.10),
    "the same, written anew": ("/v1/accounts/mock/instances?state=running", None),
    "GET /v1/instances, from the inventory": ("/v1/instances", None),
}

LOGIN = {"user": "mockuser", "password": "mockpassword"}


def measure(place: Path) -> list[Line]:
    state = place / "native"
    # `bench.peers.nimbi` keeps its state there.
    (state / "state").mkdir(mode=0o700, parents=True)
    token = asyncio.run(first_token(Settings(state_dir=str(state / "state"))))
    with (
        nginx(place / "nginx-native") as floor,
        nimbi(state, "nimbi") as ours,
    ):
        with SyncClient(ours.url, token) as client:
            client.accounts.create(NewAccount(id="mock", driver="mock", credentials=LOGIN))
            client.instances.list(fresh=True).check()
        login = (f"Authorization: Bearer {token}",)
        targets = [Target(FLOOR, floor, "/hello")]
        targets += [Target(name, ours, path, login) for name, (path, _) in ASKED.items()]
        rounds = [{t.name: t.per_cpu_s() for t in targets} for _ in range(ROUNDS)]
    return [_line(name, goal, rounds) for name, (_, goal) in ASKED.items()]


def _line(name: str, goal: float | None, rounds: list[dict[str, float]]) -> Line:
    # The ratio of each round, as both sides of a round met the same machine.
    ratio = statistics.median(each[name] / each[FLOOR] for each in rounds)
    ours, theirs = (statistics.median(each[n] for each in rounds) for n in (name, FLOOR))
    return Line(
        f"{name}, token checked, requests per CPU second, of nginx return 200",
        ratio,
        goal=goal,
        note=f"{ours:,.0f} of {theirs:,.0f}; {1e6 / ours:.0f} µs each",
    )
