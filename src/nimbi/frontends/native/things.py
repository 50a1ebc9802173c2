"""Things of clouds as JSON: with their account, and without what is the cloud's own."""

from collections.abc import Callable, Hashable, Sequence
from functools import cache
from hashlib import md5
from operator import attrgetter
from typing import Any

from msgspec import structs

from nimbi.api.routes import ApiRoute
from nimbi.broker.inventory.bodies import without_secrets
from nimbi.frontends.native.answer import JSON, Answer, Headers, encode
from nimbi.frontends.native.exchange import Exchange
from nimbi.model.buckets import BlobPage
from nimbi.model.instances import Instance
from nimbi.model.page import Page
from nimbi.model.resource import Resource
from nimbi.wire.written import MOST_DOCUMENTS, Documents


@cache
def _fields(kind: type[Resource]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Return the names of all fields but `extra`, and what gets them."""
    names = tuple(name for name in kind.__struct_fields__ if name != "extra")
    return names, attrgetter(*names)


def shown(account: str, value: Any, *, secrets: bool = False) -> Any:
    """Return what of a value goes into JSON: all but `extra`, when it is a thing of a cloud.

    Secrets, such as the password of an instance, are only for whoever has just made them.
    """
    if not isinstance(value, Resource):
        return value
    thing: Resource = value if secrets else without_secrets(value)
    names, get = _fields(type(thing))
    return {"account": account, **dict(zip(names, get(thing), strict=True))}


def tag_of(body: bytes) -> str:
    """Return the ETag of a body, with its quotes."""
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'


def thing_answer(
    exchange: Exchange,
    thing: Any,
    status: int = 200,
    headers: Headers = (),
    *,
    secrets: bool = False,
) -> Answer:
    """Answer with one thing of the account in the path; its tag is that which a reader gets."""
    account = exchange.arguments["account"]
    body = encode(shown(account, thing))
    tag = tag_of(body) if isinstance(thing, Resource) else None
    if secrets:
        body = encode(shown(account, thing, secrets=True))
    return Answer(status, body, JSON, headers, tag)


def things_answer(
    exchange: Exchange, things: Sequence[Any], status: int = 200, *, secrets: bool = False
) -> Answer:
    """Answer with several things, which are no page of a list."""
    account = exchange.arguments["account"]
    items = [shown(account, thing, secrets=secrets) for thing in things]
    return Answer(status, encode({"items": items}), JSON)


def with_login(thing: Any, made: Any) -> Any:
    """Return an instance with the login that its maker was told, which a cloud tells once."""
    if isinstance(thing, Instance) and isinstance(made, Instance) and made.login is not None:
        return structs.replace(thing, login=made.login)
    return thing


class Pages:
    """Writes pages of lists; one that a cloud gives again as it was is not written again."""

    def __init__(self) -> None:
        self._documents = Documents()
        # Of the documents that came again, by account and list: no longer, and no more of them.
        self._again: dict[Hashable, tuple[Sequence[Any], Answer]] = {}

    def answer(self, exchange: Exchange, route: ApiRoute, page: Page[Any]) -> Answer:
        """Answer with a page: `{"items": […], "next": null}`."""
        account = exchange.arguments["account"]
        # A tuple without items is one and the same for all lists.
        how = (account, route.collection, page.next)
        again = self._again.get(how)
        if again is not None and again[0] is page.items and type(page) is Page:
            return again[1]
        prefixes = page.prefixes if isinstance(page, BlobPage) else None
        known = self._documents.find(page.items, how) if prefixes is None else None
        if known is None:
            whole: dict[str, Any] = {
                "items": [shown(account, thing) for thing in page.items],
                "next": page.next,
            }
            if prefixes is not None:
                whole["prefixes"] = prefixes
                body = encode(whole)
                return Answer(200, body, JSON, (), tag_of(body))
            known = self._documents.keep(page.items, how, encode(whole))
            return Answer(200, known.body, JSON, (), known.tag)
        answer = Answer(200, known.body, JSON, (), known.tag)
        if len(self._again) >= MOST_DOCUMENTS:
            self._again.clear()
        self._again[how] = (page.items, answer)
        return answer
