"""Webhooks: URLs that are told of changes."""

from nimbi.frontends.native.answer import Answer, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.webhooks import CreatedWebhook, NewWebhook, Webhook

PLACE = "/v1/webhooks"
ONE = PLACE + "/{id}"


async def page(exchange: Exchange) -> Answer:
    return json_answer({"items": await exchange.broker.webhooks.all(exchange.caller)})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewWebhook)
    return json_answer(await exchange.broker.webhooks.create(new, exchange.caller), 201)


async def show(exchange: Exchange) -> Answer:
    webhooks, id = exchange.broker.webhooks, exchange.arguments["id"]
    return json_answer(await webhooks.get(id, exchange.caller))


async def enable(exchange: Exchange) -> Answer:
    webhooks, id = exchange.broker.webhooks, exchange.arguments["id"]
    return json_answer(await webhooks.enable(id, exchange.caller))


async def destroy(exchange: Exchange) -> Answer:
    await exchange.broker.webhooks.destroy(exchange.arguments["id"], exchange.caller)
    return nothing()


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "webhooks.page",
        text="Return all webhooks, the oldest first.",
        gives=tuple[Webhook, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        "webhooks.create",
        key="whole",
        text="Tell a URL of changes from now on. The secret that signs them is told this once.",
        takes=NewWebhook,
        gives=CreatedWebhook,
        status=201,
    ),
    Route("GET", ONE, show, "webhooks.get", text="Return one webhook.", gives=Webhook),
    Route(
        "POST",
        ONE + "/enable",
        enable,
        "webhooks.enable",
        key="whole",
        text="Deliver to it again, beginning with what it missed.",
        gives=Webhook,
    ),
    Route("DELETE", ONE, destroy, "webhooks.destroy", text="Remove a webhook.", status=204),
)
