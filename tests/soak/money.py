"""Quotas, the audit and the bill, held against sums of our own."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.soak.clients import Wish
from tests.soak.clouds import Books, Held
from tests.soak.judgement import PREFIX, Verdict
from tests.soak.land import RUNNING, STOPPED, VOLUME_GIB

# Nimbi learns of what happens in a cloud when a call ends or a list is read; a process that was
# killed, or an answer that was lost, has it wait for the next list.
LATE_S = 60.0
HOUR_S = 3600
MIB_IN_GIB = 1024
GROWS = frozenset({"instances", "volumes"})
# What a bill may be beside what the clouds' own books come to: a second at each beginning,
# change and end of a thing, for bills know whole seconds; and this part of all, for what was told
# late since an answer was lost.
TELLS_S = 1
PART = Fraction(2, 100)


def judge_quotas(
    verdict: Verdict,
    wishes: Iterable[Wish],
    used: Mapping[str, Mapping[str, int]],
    drifts: Sequence[Any],
) -> None:
    """Compare what Nimbi counts, by project and resource, with what clients hold."""
    verdict.quota_drift += [f"recount: {drift}" for drift in drifts]
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for wish in wishes:
        if wish.is_held:
            held[wish.project][wish.collection] += 1
            held[wish.project]["volume_bytes"] += wish.size_gib * 2**30
    for project, counts in used.items():
        for resource in (*GROWS, "volume_bytes"):
            told, right = counts.get(resource, 0), held[project][resource]
            if told != right:
                verdict.quota_drift.append(f"{resource} of {project}: {told}, and {right} are held")


def judge_audit(
    verdict: Verdict,
    changed: Iterable[tuple[str, ...]],
    wishes: Iterable[Wish],
    entries: Sequence[Mapping[str, Any]],
    report: Mapping[str, Any],
) -> None:
    """See that each change that was answered, and each thing, is in the audit, which is whole."""
    requests = {each.get("request_id") for each in entries}
    verdict.unaudited += [f"request {ids[-1]}" for ids in changed if requests.isdisjoint(ids)]
    made = {
        (each.get("account"), each.get("thing"))
        for each in entries
        if each["operation"].rpartition(".")[2] in {"create", "create_many"}
    }
    verdict.unaudited += [
        f"{wish.name}: {wish.collection} {wish.id} in {wish.cloud}"
        for wish in wishes
        if wish.id is not None and (wish.cloud, wish.id) not in made
    ]
    verdict.unaudited += [f"the chain: {fault}" for fault in report["faults"]]
    if not report["is_whole"] and not report["faults"]:
        verdict.unaudited.append("the chain is not whole")


def judge_bill(
    verdict: Verdict,
    intervals: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    books: Mapping[str, Books],
    wishes: Iterable[Wish],
) -> None:
    """Compare the bill with our own sum, and the times it is of with the clouds' own books.

    All intervals have ended. `rows` are those of a report by tenant.
    """
    projects = {(wish.cloud, wish.name): wish.project for wish in wishes}
    ours = [each for each in intervals if (each["name"] or "").startswith(PREFIX)]
    _judge_times(verdict, ours, books)
    for each in ours:
        right = projects.get((each["account"], each["name"]))
        if each["tenant"] != right:
            verdict.bill_difference.append(
                f"{each['name']} is charged to {each['tenant']}, and it was wished for by {right}"
            )
    own: dict[str, Fraction] = defaultdict(Fraction)
    for each in intervals:
        own[each["tenant"]] += _cost(each)
    told: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        told[row["key"][0]] += Decimal(str(row["amount"]))
    for tenant in sorted(set(own) | set(told)):
        # Each charge of a meter, kind, account and realm is rounded to a millionth.
        if abs(Fraction(told[tenant]) - own[tenant]) > Fraction(1, 1000):
            verdict.bill_difference.append(
                f"{tenant}: {told[tenant]}, and {float(own[tenant]):.6f} by our own sum"
            )


def judge_money(
    verdict: Verdict,
    rows: Iterable[Mapping[str, Any]],
    books: Mapping[str, Books],
    wishes: Iterable[Wish],
) -> str:
    """Compare what each project is charged with the clouds' own books and the list of prices.

    All things are gone. Returns how far it is apart altogether.
    """
    projects = {(wish.cloud, wish.name): wish.project for wish in wishes}
    right: dict[str, Fraction] = dict.fromkeys(projects.values(), Fraction())
    within = dict(right)
    for cloud, book in books.items():
        for thing in book.things:
            project = projects.get((cloud, thing.name or ""))
            if project is None or thing.collection not in GROWS:
                continue
            ends = [at for at, _ in thing.states[1:]]
            ends.append(thing.gone_at if thing.gone_at is not None else thing.states[-1][0])
            dearest = Fraction()
            for (begin, state), end in zip(thing.states, ends, strict=True):
                price = _price(thing, state)
                right[project] += price * Fraction(end - begin) / HOUR_S
                dearest = max(dearest, price)
            within[project] += dearest * TELLS_S * (len(ends) + 1) / HOUR_S
    told = dict.fromkeys(right, Fraction())
    for row in rows:
        told[row["key"][0]] = told.get(row["key"][0], Fraction()) + Fraction(str(row["amount"]))
    for project in sorted(told):
        sum_, own = told[project], right.get(project, Fraction())
        if abs(sum_ - own) > within.get(project, Fraction()) + PART * own:
            verdict.bill_difference.append(
                f"{project}: {float(sum_):.6f}, and {float(own):.6f} by the clouds' books"
            )
    all_, own = sum(told.values()), sum(right.values())
    apart = max((abs(told[each] / right[each] - 1) for each in right if right[each]), default=0)
    return (
        f"{float(all_):.6f}, by the clouds' books {float(own):.6f}; "
        f"of one project at most {float(apart):.2%} apart"
    )


def _price(thing: Held, state: str) -> Fraction:
    """Return what an hour of a thing in a state costs."""
    if thing.collection == "volumes":
        return Fraction(VOLUME_GIB) * Fraction(thing.size_gib or 0)
    if state == "stopped":
        return Fraction(STOPPED)
    return Fraction(RUNNING.get(thing.profile or "", "0")) if state == "running" else Fraction()


def _cost(interval: Mapping[str, Any]) -> Fraction:
    if interval["until"] is None:
        seconds = 0
    else:
        seconds = round(_time(interval["until"]) - _time(interval["begin"]))
    if interval["collection"] == "volumes":
        price = Fraction(VOLUME_GIB) * Fraction(interval["amount"], MIB_IN_GIB)
    elif interval["collection"] != "instances":
        price = Fraction(0)
    elif interval["state"] == "running":
        price = Fraction(RUNNING.get(interval["kind"] or "", "0"))
    else:
        price = Fraction(STOPPED) if interval["state"] == "stopped" else Fraction(0)
    return price * seconds / HOUR_S


def _judge_times(
    verdict: Verdict, intervals: Sequence[Mapping[str, Any]], books: Mapping[str, Books]
) -> None:
    billed: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for each in intervals:
        key = each["account"], each["collection"], each["thing_id"]
        until = _time(each["until"]) if each["until"] else float("inf")
        billed[key].append((_time(each["begin"]), until))
    real = {
        (cloud, thing.collection, thing.id): thing
        for cloud, book in books.items()
        for thing in book.things
        if (thing.name or "").startswith(PREFIX) and thing.collection in GROWS
    }
    for key, thing in real.items():
        spans = sorted(billed.pop(key, []))
        if not spans:
            # What came and went while nobody looked was never seen, and costs nobody anything.
            if thing.gone_at is None or thing.gone_at - thing.made_at > LATE_S:
                verdict.bill_difference.append(f"{key} is in no bill")
            continue
        gone_at = thing.gone_at if thing.gone_at is not None else float("inf")
        begin, until = spans[0][0], max(end for _, end in spans)
        holes = sum(max(0.0, b - a) for (_, a), (b, _) in pairwise(spans))
        if abs(begin - thing.made_at) > LATE_S or abs(until - gone_at) > LATE_S or holes > LATE_S:
            verdict.bill_difference.append(
                f"{key} was there {thing.made_at:.0f}..{gone_at:.0f}, is charged {spans}"
            )
    verdict.bill_difference += [f"{key} is charged, and never was" for key in billed]


def _time(told: str) -> float:
    return datetime.fromisoformat(told).timestamp()
