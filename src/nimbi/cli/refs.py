"""Finds what a person means: an id or a name, of one account or of any."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click

from nimbi.cli.command import Desk, words_of
from nimbi.model.errors import Conflict, NotFound

# Of several things with one name so many are asked for: ten are shown, and whether there are more.
MOST_SEVERAL = 11

# What people call things that have no name: by this field, which lists have no filter for. None:
# only the id tells them apart.
NAMELESS: Mapping[str, str | None] = {"addresses": "ip", "metrics": None, "quotas": None}


@dataclass(frozen=True)
class Ref:
    """One thing: its account and its id there."""

    account: str
    id: str

    def __str__(self) -> str:
        return f"{self.account}:{self.id}"


def account_names(desk: Desk) -> tuple[str, ...]:
    """Return the names of all accounts."""
    return tuple(item["id"] for item in desk.remote.ask("GET", "/v1/accounts").value["items"])


def account_of(desk: Desk) -> str:
    """Return the account that is meant: the one that was told, or the only one that there is.

    Raises UsageError when it is not clear.
    """
    if desk.account:
        return desk.account
    names = account_names(desk)
    if len(names) == 1:
        return names[0]
    if not names:
        raise click.UsageError("there is no account yet: nimbi accounts add, or discover")
    raise click.UsageError(f"which account? Say -a NAME; there are: {', '.join(names)}")


def find(desk: Desk, collection: str, told: str) -> Ref:
    """Return the thing whose id is told, or `account:id`, or the only one with that name.

    Raises NotFound, and Conflict when several have the name.
    """
    account = desk.account
    if account is None:
        account, told = _prefixed(desk, told)
    found = _listed(desk, collection, told, account)
    if not found and desk.remote.is_here:
        found = _listed(desk, collection, told, account, fresh=True)
    if len(found) > 1:
        among = ", ".join(f"{one['account']}:{one['id']}" for one in found[:10])
        raise Conflict(f"{told!r} is several: {among}")
    if found:
        return Ref(found[0]["account"], found[0]["id"])
    if account is None:
        names = account_names(desk)
        if len(names) != 1:
            raise NotFound(f"no account has {_one(collection)} {told!r}")
        account = names[0]
    # It may be there all the same, newer than what the inventory knows.
    return Ref(account, told)


def id_of(desk: Desk, collection: str, account: str, told: str) -> str:
    """Return the id of a thing of one account that is told by id or name, or what was told.

    Raises Conflict when several have the name.
    """
    found = _listed(desk, collection, told, account)
    if len(found) > 1:
        raise Conflict(f"{told!r} is several: {', '.join(one['id'] for one in found[:10])}")
    return str(found[0]["id"]) if found else told


def _prefixed(desk: Desk, told: str) -> tuple[str | None, str]:
    """Return account and id of `account:id`; an id may have a colon of its own."""
    prefix, colon, rest = told.partition(":")
    if colon and rest and prefix in account_names(desk):
        return prefix, rest
    return None, told


def _listed(
    desk: Desk, collection: str, told: str, account: str | None, *, fresh: bool = False
) -> list[Any]:
    where = [("account", account)] if account else []
    more = [("fresh", "true")] if fresh else []
    for field in ("id",) if collection in NAMELESS else ("id", "name"):
        query = [(field, told), *where, *more, ("limit", str(MOST_SEVERAL))]
        found: list[Any] = desk.remote.ask("GET", f"/v1/{collection}", query).value["items"]
        if found:
            return found
    called = NAMELESS.get(collection)
    if called is None:
        return []
    pages = desk.remote.each(f"/v1/{collection}", [*where, *more])
    fitting = (one for page in pages for one in page["items"] if one[called] == told)
    return list(islice(fitting, MOST_SEVERAL))


def _one(collection: str) -> str:
    return f"the {singular(collection)}"


def singular(collection: str) -> str:
    """Return what one thing of a collection is called: `load balancer`."""
    name = collection.removesuffix("es") if collection.endswith("sses") else collection[:-1]
    return words_of(name)
