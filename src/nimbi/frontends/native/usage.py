"""Usage: intervals in which things were used, and reports of what they cost."""

import csv
import io
from collections.abc import Sequence

import msgspec

from nimbi.broker.access import may, may_touch
from nimbi.broker.metering.chart import svg
from nimbi.broker.metering.reports import Question
from nimbi.frontends.native.answer import Answer, json_answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.names import names
from nimbi.frontends.native.problems import bad_request
from nimbi.frontends.native.route import Route
from nimbi.model.errors import Forbidden, Invalid, NotFound
from nimbi.model.metering import Interval, Report
from nimbi.model.people import ROOT
from nimbi.store.schema import OPEN_S
from nimbi.store.tenants import KINDS
from nimbi.store.usage import Place

PLACE = "/v1/usage"
INTERVALS = PLACE + "/intervals"

CSV, SVG = "text/csv", "image/svg+xml"
FORMS = ("json", "csv", "svg")
PERIOD = frozenset({"month", "begin", "until", "zone"})
LARGEST_LIMIT = 1000
# A cell that begins so is a formula for spreadsheets; what clouds call things may begin so.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class IntervalPage(msgspec.Struct, frozen=True):
    """Some intervals, in the order in which they were told; `next` is the marker of the rest."""

    items: tuple[Interval, ...]
    next: str | None = None


async def report(exchange: Exchange) -> Answer:
    """Answer with a report as JSON, a table or a drawing."""
    form = exchange.query.get("form", "json")
    if form not in FORMS:
        raise bad_request(f"form is one of {', '.join(FORMS)}")
    question = Question(
        month=exchange.query.get("month"),
        begin_s=seconds(exchange, "begin"),
        until_s=seconds(exchange, "until"),
        zone=exchange.query.get("zone", "UTC"),
        place=await place(exchange),
        by=names(exchange, "by") or ("tenant", "meter"),
    )
    made = await exchange.broker.metering.reports.make(question)
    if form == "csv":
        return Answer(200, table(made).encode(), CSV + "; charset=utf-8")
    if form == "svg":
        return Answer(200, svg(await _placed(exchange, made)), SVG)
    return json_answer(made)


async def _placed(exchange: Exchange, made: Report) -> Report:
    """Return a report for people: tenants that the caller may look up by their places."""
    if "tenant" not in made.by or not may(exchange.caller, "projects.page", None):
        return made
    tenants, at = exchange.broker.rights.tenants, made.by.index("tenant")
    known: dict[str, str] = {}
    for kind in KINDS:
        known |= {one.id: one.place for one in await tenants.page(exchange.caller, kind)}

    def named(key: tuple[str, ...]) -> tuple[str, ...]:
        return (*key[:at], known.get(key[at], key[at]), *key[at + 1 :])

    rows = tuple(msgspec.structs.replace(row, key=named(row.key)) for row in made.rows)
    return msgspec.structs.replace(made, rows=rows)


async def intervals(exchange: Exchange) -> Answer:
    limit = exchange.number("limit", 100, 1, LARGEST_LIMIT)
    begin_s, until_s = seconds(exchange, "begin"), seconds(exchange, "until")
    found = await exchange.broker.metering.usage.intervals(
        await place(exchange),
        collection=exchange.query.get("collection"),
        thing_id=exchange.query.get("thing"),
        begin_s=0 if begin_s is None else begin_s,
        until_s=OPEN_S if until_s is None else until_s,
        after=exchange.number("marker", 0, 0, 10**17),
        limit=limit,
    )
    following = str(found[-1].id) if len(found) == limit else None
    return json_answer(IntervalPage(found, following))


async def place(exchange: Exchange) -> Place:
    """Return which usage is asked for: that of the caller's tenant and below, or of one of these.

    Raises Forbidden for another tenant's.
    """
    return Place(await tenant(exchange), names(exchange, "account"))


async def tenant(exchange: Exchange) -> str | None:
    """Return the tenant that is meant, None for all.

    Raises Forbidden for one that is not the caller's to see, Invalid for one that there is not.
    """
    told, caller = exchange.query.get("tenant"), exchange.caller
    if told is None:
        return None if caller.tenant == ROOT else caller.tenant
    try:
        path = await exchange.broker.metering.budgets.path(told)
    except NotFound as error:
        if caller.tenant == ROOT:
            raise Invalid(f"there is no tenant {told[:60]!r}") from error
        # Nobody finds out here which tenants there are elsewhere.
        path = ()
    if not may_touch(caller, path):
        raise Forbidden(f"{caller.name} may not see what {told[:60]!r} uses")
    return None if told == ROOT else path[-1]


def seconds(exchange: Exchange, name: str) -> int | None:
    """Return a parameter that is a time with its zone, in seconds since 1970. Raises Problem."""
    found = exchange.moment(name)
    return None if found is None else int(found.timestamp())


def table(made: Report) -> str:
    """Return a report as CSV; cells are safe to open in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*made.by, "quantity", "unit", "amount", "currency", "unpriced"])
    for row in made.rows:
        told = (row.quantity, row.unit, row.amount, row.currency, row.unpriced)
        writer.writerow([*cells(row.key), *("" if one is None else one for one in told)])
    return text.getvalue()


def cells(told: Sequence[str]) -> list[str]:
    """Return texts as cells that no spreadsheet takes for formulas."""
    return [f"'{one}" if one.startswith(FORMULAS) else one for one in told]


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        report,
        "usage.page",
        PERIOD | {"account", "tenant", "by", "form"},
        text="Return what was used and what it costs, by what is asked for; this month's so far.",
        gives=Report,
        media_types=(CSV, SVG),
    ),
    Route(
        "GET",
        INTERVALS,
        intervals,
        "usage.page",
        frozenset(
            {"account", "tenant", "collection", "thing", "begin", "until", "limit", "marker"}
        ),
        text="Return the times in which things were used, each with what told of it.",
        gives=IntervalPage,
    ),
)
