"""Alerts, and the silences in which nobody is told of them."""

from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import bad_request
from nimbi.frontends.native.route import Route
from nimbi.model.alerts import Alert, AlertState, NewSilence, Silence

PLACE = "/v1/alerts"
SILENCES = "/v1/silences"

STATES = {state.value: state for state in AlertState}
USUAL, MOST = 100, 1000


async def page(exchange: Exchange) -> Answer:
    """Answer with alerts; `state` may name several, with commas."""
    told = exchange.query.get("state")
    names = told.split(",") if told else []
    if unknown := [name for name in names if name not in STATES]:
        raise bad_request(f"state is {', '.join(STATES)}, not {unknown[0][:60]!r}")
    found = await exchange.broker.health.alerts(
        exchange.caller,
        tuple(STATES[name] for name in names),
        exchange.query.get("source"),
        exchange.number("limit", USUAL, 1, MOST),
    )
    return json_answer({"items": found})


async def show(exchange: Exchange) -> Answer:
    return json_answer(await exchange.broker.health.alert(exchange.caller, _id(exchange)))


async def silences(exchange: Exchange) -> Answer:
    return json_answer({"items": await exchange.broker.health.silences(exchange.caller)})


async def silence(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewSilence)
    made = await exchange.broker.health.create_silence(exchange.caller, new)
    return created(made, f"{SILENCES}/{made.id}")


async def end_silence(exchange: Exchange) -> Answer:
    await exchange.broker.health.destroy_silence(exchange.caller, _id(exchange))
    return nothing()


def _id(exchange: Exchange) -> str:
    return exchange.arguments["id"]


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        None,
        frozenset({"state", "source", "limit"}),
        text="Return alerts, the latest first.",
        gives=tuple[Alert, ...],
    ),
    Route("GET", PLACE + "/{id}", show, None, text="Return one alert.", gives=Alert),
    Route(
        "GET",
        SILENCES,
        silences,
        None,
        text="Return the silences, the one that ends last first.",
        gives=tuple[Silence, ...],
    ),
    Route(
        "POST",
        SILENCES,
        silence,
        None,
        key="whole",
        text="Tell nobody of some alerts for a time, and do nothing for what they are about.",
        takes=NewSilence,
        gives=Silence,
        status=201,
    ),
    Route(
        "DELETE",
        SILENCES + "/{id}",
        end_silence,
        None,
        text="End a silence; people are told of what still goes on.",
        status=204,
    ),
)
