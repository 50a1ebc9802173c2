"""OPTIONS: which verbs a collection knows, which parameters an operation takes."""

from collections.abc import Sequence

from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.features import offered
from nimbi.frontends.deltacloud.handlers.entry import collections_of
from nimbi.frontends.deltacloud.reply import Reply, header, not_found
from nimbi.frontends.deltacloud.route import Parameter, Route

# As the original's classes were called; its own tests look for one of them.
CLASS = "Deltacloud::Rabbit::{}Collection"

VERBS = ("GET", "POST", "PUT", "DELETE")


def entry(exchange: Exchange) -> Reply:
    names = [_class_name(name) for name, _ in collections_of(exchange)]
    return _allow(",".join(names))


def collection(routes: Sequence[Route]) -> Reply:
    """Answer with the verbs of all operations of a collection. Raises Refusal without any."""
    if not routes:
        raise not_found()
    used = {route.verb for route in routes if route.documented}
    return _allow(",".join(("OPTIONS", *(verb for verb in VERBS if verb in used))))


def operation(exchange: Exchange, routes: Sequence[Route], name: str) -> Reply:
    """Answer with the parameters of one operation. Raises Refusal when there is none such."""
    for route in routes:
        if route.documented and route.operation == name:
            parameters = (*_of_features(exchange, route), *route.parameters)
            return _allow(",".join(parameter.signature() for parameter in parameters))
    raise not_found()


def _of_features(exchange: Exchange, route: Route) -> list[Parameter]:
    """Return the parameters that the features add."""
    kind = KINDS.get(route.collection)
    if kind is None:
        return []
    names = exchange.features(kind.interface)
    return [
        parameter
        for feature in offered(route.collection, names, exchange.operations)
        if feature.operation == route.operation
        for parameter in feature.shown
    ]


def _class_name(collection: str) -> str:
    return CLASS.format("".join(word.capitalize() for word in collection.split("_")))


def _allow(value: str) -> Reply:
    return Reply(200, headers=(header("allow", value),))
