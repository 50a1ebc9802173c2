"""What the HTML pages are told of a request."""

from nimbi.driver.capabilities import INTERFACES
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.html.view import PageView


def page_view(exchange: Exchange, title: str = "") -> PageView:
    """Return the view of a request, known as far as the request was understood."""
    selection = exchange.selection
    cloud = getattr(exchange, "cloud", None)
    features = (
        frozenset(f"{i.name}.{name}" for i in INTERFACES for name in cloud.features(i))
        if cloud is not None
        else frozenset()
    )
    return PageView(
        base_url=exchange.base_url,
        path=_with_query(exchange),
        driver=selection.driver,
        provider=selection.provider,
        title=title,
        operations=exchange.operations,
        features=features,
        request_id=exchange.named_request(),
        user=exchange.login.user if exchange.login is not None else None,
        root=selection.root,
    )


def _with_query(exchange: Exchange) -> str:
    query = exchange.raw_query.decode("latin-1")
    return f"{exchange.path}?{query}" if query else exchange.path
