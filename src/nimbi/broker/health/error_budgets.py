"""How objectives stand: the results of their checks, the budget of bad ones, how fast it burns."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from nimbi.model.alerts import SourceKind
from nimbi.model.objectives import Objective, Standing
from nimbi.store.alerts import Matter
from nimbi.store.counts import HOUR_US, MINUTE_US, CountStore, Tally

HOUR = timedelta(hours=1)


class BurnRule(NamedTuple):
    """An alert when a part of the whole budget is used within a `long` time.

    Only while it still burns as fast in the `short` one, so that it is over soon after the cause.
    Source: Google's SRE Workbook, "Alerting on SLOs", 6: multiwindow, multi-burn-rate.
    """

    part: float
    long: timedelta
    short: timedelta


BURN_RULES: Mapping[str, BurnRule] = {
    "fast": BurnRule(0.02, HOUR, timedelta(minutes=5)),
    "slow": BurnRule(0.05, 6 * HOUR, timedelta(minutes=30)),
}
# The third: nothing is left.
SPENT = "spent"
RULES = (*BURN_RULES, SPENT)


class Look(NamedTuple):
    """What was counted of an objective: over its window, and how fast each rule's times burn."""

    standing: Standing
    rates: Mapping[timedelta, float]


async def looked(counts: CountStore, objective: Objective, now: datetime) -> Look:
    """Return how an objective stands now."""
    window = timedelta(days=objective.window_days)
    whole = await counts.tally(objective.checks, now - window, HOUR_US)
    allowed = (100 - objective.target_percent) / 100
    rates = {}
    for span in {span for rule in BURN_RULES.values() for span in (rule.long, rule.short)}:
        recent = await counts.tally(objective.checks, now - span, MINUTE_US)
        rates[span] = burn_rate(recent, allowed)
    return Look(standing_of(whole, allowed, rates), rates)


def burn_rate(tally: Tally, allowed: float) -> float:
    """Return how many times faster than allowed results were bad; 0 without results."""
    total = tally.good + tally.bad
    return tally.bad / total / allowed if total else 0.0


def standing_of(whole: Tally, allowed: float, rates: Mapping[timedelta, float]) -> Standing:
    """Return what is told of an objective."""
    total = whole.good + whole.bad
    left = None if not total else round(100 * (1 - whole.bad / (total * allowed)), 3)
    return Standing(
        good=whole.good,
        bad=whole.bad,
        good_percent=round(100 * whole.good / total, 5) if total else None,
        budget_left_percent=left,
        burn_rate_1h=round(rates.get(HOUR, 0.0), 3),
        burn_rate_6h=round(rates.get(6 * HOUR, 0.0), 3),
    )


def threshold(rule: BurnRule, window_days: int) -> float:
    """Return the burn rate that uses the rule's part of the budget in its long time."""
    return rule.part * (timedelta(days=window_days) / rule.long)


class Finding(NamedTuple):
    """What a rule says: it fires, or it may (`pending`), or neither."""

    rule: str
    fires: bool
    pending: bool
    summary: str


def findings(objective: Objective, look: Look) -> list[Finding]:
    """Return what each rule says of an objective."""
    found = []
    for name, rule in BURN_RULES.items():
        limit = threshold(rule, objective.window_days)
        long, short = look.rates[rule.long], look.rates[rule.short]
        hours = rule.long / HOUR
        text = f"its budget burns {long:.1f} times too fast (last {hours:g} h)"
        found.append(Finding(name, min(long, short) > limit, short > limit, text))
    left = look.standing.budget_left_percent
    is_spent = left is not None and left <= 0
    found.append(Finding(SPENT, is_spent, False, "its budget is spent"))
    return found


def matter_of(objective: Objective, finding: Finding) -> Matter:
    """Return what an alert of an objective tells."""
    goal = f"{objective.target_percent:g} % over {objective.window_days} days"
    return Matter(
        kind=SourceKind.OBJECTIVE,
        source=objective.id,
        rule=finding.rule,
        name=objective.name,
        tenant=objective.tenant,
        account=None,
        summary=f"{goal}: {finding.summary}",
        emails=objective.emails,
    )
