"""The soak, shorter than `make soak` runs it; and that its judges find what is wrong."""

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.soak.clients import Wish
from tests.soak.clouds import Books, Held
from tests.soak.judgement import Verdict, judge_list, judge_things
from tests.soak.money import judge_audit, judge_bill, judge_money, judge_quotas
from tests.soak.run import Size, soak
from tests.targets.postgres import Server

from nimbi.drivers.mock.seed import seeded

# Set it for a longer one; `make soak` takes three minutes.
SECONDS = "NIMBI_SOAK_S"
SHORT_S = 20.0
LINE = re.compile(
    r"soak: requests \d+ lost 0 doubled 0 leaked 0 quota-drift 0 unaudited 0 bill-difference 0"
)


@pytest.mark.minutes
def test_nothing_is_lost_doubled_or_leaked_while_servers_are_killed(
    postgresql: Server, tmp_path: Path
) -> None:
    seconds = float(os.environ.get(SECONDS, SHORT_S))
    said: list[str] = []
    size = Size(seconds, clients=64 if seconds > SHORT_S else 16, kill_every_s=6.0, seed=7)
    verdict = asyncio.run(soak(postgresql.new_database(), tmp_path, size, said.append))
    # A loaded machine does few of them in that time.
    assert verdict.requests > 30
    assert LINE.fullmatch(verdict.line()), "\n".join([*said, *verdict.findings(), verdict.line()])


def held(**values: Any) -> Held:
    usual = {"cloud": "east", "collection": "instances", "id": "i1", "name": "soak-1", "made_at": 0}
    return Held(**{**usual, "gone_at": 100.0, "profile": "m1-small", **values})


def books(*things: Held) -> dict[str, Books]:
    return {"east": Books(things, seeded())}


WISH = Wish("east", "instances", "soak-1", id="i1", state="running", project="p")
SPAN = {
    "account": "east",
    "collection": "instances",
    "thing_id": "i1",
    "name": "soak-1",
    "tenant": "p",
    "state": "running",
    "kind": "m1-small",
    "amount": 1,
    "begin": "1970-01-01T00:00:00Z",
    "until": "1970-01-01T00:01:40Z",
}
# 100 s of 0.36 an hour.
ROW = {"key": ["p"], "amount": "0.010000"}


def test_a_wish_that_is_gone_made_twice_or_made_for_nobody_is_found() -> None:
    verdict = Verdict()
    judge_things(verdict, [WISH], books(held()), frozenset())
    assert verdict.counts["lost"] == 1
    judge_things(verdict, [WISH], books(held(), held(id="i2")), frozenset())
    assert verdict.counts["doubled"] == 1
    judge_things(verdict, [replace(WISH, id=None)], books(held(gone_at=None)), frozenset())
    judge_things(verdict, [], books(held(gone_at=None)), frozenset())
    assert verdict.counts["leaked"] == 2
    orphan = frozenset({("east", "instances", "i1")})
    judge_things(verdict, [replace(WISH, id=None)], books(held(gone_at=None)), orphan)
    assert verdict.counts["leaked"] == 2


def test_a_list_that_shows_too_much_or_too_little_is_found() -> None:
    verdict = Verdict()
    real = {("east", item.id) for item in seeded().instances.whole.items}
    judge_list(verdict, books(), "instances", real)
    assert not any(verdict.counts.values())
    judge_list(verdict, books(), "instances", real - {("east", "inst1")} | {("east", "i9")})
    assert (verdict.counts["lost"], verdict.counts["leaked"]) == (1, 1)


def test_quotas_that_drift_are_found() -> None:
    verdict = Verdict()
    judge_quotas(verdict, [WISH], {"p": {"instances": 1, "volumes": 0}}, [])
    assert verdict.counts["quota-drift"] == 0
    judge_quotas(verdict, [WISH], {"p": {"instances": 2, "volumes": 0}}, ["a drift"])
    assert verdict.counts["quota-drift"] == 2


def test_a_change_that_is_not_in_the_audit_is_found() -> None:
    entry = {"request_id": "r1", "account": "east", "thing": "i1", "operation": "instances.create"}
    whole = {"is_whole": True, "faults": []}
    verdict = Verdict()
    judge_audit(verdict, [("r0", "r1")], [WISH], [entry], whole)
    assert verdict.counts["unaudited"] == 0
    judge_audit(verdict, [("r2",)], [WISH], [], whole | {"is_whole": False})
    assert verdict.counts["unaudited"] == 3


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"until": "1970-01-01T00:10:00Z"}, {"amount": "0.060000"}),
        ({"begin": "1970-01-01T00:00:00Z", "thing_id": "i2"}, {}),
        ({"tenant": "q"}, {"key": ["q"]}),
        ({}, {"amount": "0.020000"}),
    ],
    ids=["too long", "of another thing", "of another tenant", "summed up wrong"],
)
def test_a_wrong_bill_is_found(change: dict[str, Any], row: dict[str, Any]) -> None:
    verdict = Verdict()
    judge_bill(verdict, [SPAN], [ROW], books(held()), [WISH])
    assert verdict.findings() == []
    judge_bill(verdict, [SPAN | change], [ROW | row], books(held()), [WISH])
    assert verdict.counts["bill-difference"] > 0


@pytest.mark.parametrize(
    ("amount", "is_right"), [("0.0054", True), ("0.0056", True), ("0.0065", False)]
)
def test_a_bill_that_is_not_that_of_the_clouds_books_is_found(amount: str, is_right: bool) -> None:
    # 50 s at 0.36 an hour, and 40 s at 0.036.
    thing = held(gone_at=90.0, states=[(0.0, "running"), (50.0, "stopped")])
    verdict = Verdict()
    judge_money(verdict, [{"key": ["p"], "amount": amount}], books(thing), [WISH])
    assert (verdict.counts["bill-difference"] == 0) is is_right


def test_a_state_that_was_not_saved_is_not_counted() -> None:
    thing = held(states=[(0.0, "running")])
    thing.changed(5.0, "running", "stopped")
    thing.changed(9.0, "running", "stopped")
    assert thing.states == [(0.0, "running"), (9.0, "stopped")]
