"""The documentation that is made of the table of routes."""

from collections.abc import Mapping, Sequence

from nimbi.frontends.deltacloud import openapi
from nimbi.frontends.deltacloud.answers import html_reply, json_reply
from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.features import FEATURES
from nimbi.frontends.deltacloud.formats import JSON
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.html.view import CollectionDoc, OperationDoc, ParameterDoc
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.reply import Reply, not_found
from nimbi.frontends.deltacloud.route import Handler, Parameter, Route
from nimbi.frontends.deltacloud.selection import DRIVER_HEADER, PROVIDER_HEADER
from nimbi.wire.matrix import Segment, join

TEXTS = {
    "drivers": "The clouds that this server has drivers for.",
    "instance_states": "The states of instances, and what leads from one to the next.",
    "blobs": "Bytes under a name in a bucket.",
}


Table = Mapping[str, Sequence[Route]]


def docs_index(table: Table, routes: Sequence[Route]) -> Handler:
    """Return the handler of the page of all collections; `table` holds the routes of each.

    For programs it answers with the OpenAPI document of `routes`.
    """

    async def handler(exchange: Exchange) -> Reply:
        if exchange.format is JSON:
            driver, operations = exchange.driver, exchange.operations
            return json_reply(openapi.document(routes, driver, operations, _entry_url(exchange)))
        collections = [described(exchange, name, table[name]) for name in sorted(table)]
        return html_reply(pages.docs_index_page(page_view(exchange), collections))

    return handler


def _entry_url(exchange: Exchange) -> str:
    """Return the URL of the entry point that selects what this request selected."""
    selection = exchange.selection
    chosen = {"driver": selection.driver, "provider": selection.provider}
    by_header = DRIVER_HEADER in exchange.headers or PROVIDER_HEADER in exchange.headers
    if not by_header:
        return exchange.base_url + selection.root
    given = {name: value for name, value in chosen.items() if value}
    return exchange.base_url + join((Segment("api", given),)).decode("ascii")


def docs_collection(table: Table) -> Handler:
    async def handler(exchange: Exchange) -> Reply:
        name = exchange.arguments["collection"]
        if name not in table:
            raise not_found()
        told = described(exchange, name, table[name])
        return html_reply(pages.docs_collection_page(page_view(exchange), told))

    return handler


def docs_operation(table: Table) -> Handler:
    async def handler(exchange: Exchange) -> Reply:
        collection, name = exchange.arguments["collection"], exchange.arguments["operation"]
        for route in table.get(collection, ()):
            if route.operation == name:
                view = page_view(exchange)
                told = _operation(exchange, route)
                return html_reply(pages.docs_operation_page(view, collection, told))
        raise not_found()

    return handler


def described(exchange: Exchange, name: str, routes: Sequence[Route]) -> CollectionDoc:
    kind = KINDS.get(name)
    return CollectionDoc(
        name=name,
        text=kind.text if kind else TEXTS.get(name, ""),
        operations=[_operation(exchange, route) for route in routes],
    )


def _operation(exchange: Exchange, route: Route) -> OperationDoc:
    return OperationDoc(
        name=route.operation,
        method=route.verb,
        path=route.path,
        text=route.text,
        capability=route.capability or None,
        supported=route.need_ids <= exchange.operations,
        parameters=[
            *(_parameter(parameter, None) for parameter in route.parameters),
            *_feature_parameters(route),
        ],
    )


def _feature_parameters(route: Route) -> Sequence[ParameterDoc]:
    return [
        _parameter(parameter, feature.name)
        for feature in FEATURES.get(route.collection, ())
        if feature.operation == route.operation
        for parameter in feature.parameters
    ]


def _parameter(parameter: Parameter, feature: str | None) -> ParameterDoc:
    return ParameterDoc(
        name=parameter.name,
        kind=parameter.kind,
        required=parameter.required,
        text=parameter.text,
        feature=feature,
    )
