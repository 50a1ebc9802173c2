"""Things to keep."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from nimbi.model.accounts import Account, Problem
from nimbi.model.inventory import Thing

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
BROKEN = Problem("timeout", "No answer.")


def at(seconds: float) -> datetime:
    """Return a time so many seconds after the tests' beginning."""
    return START + timedelta(seconds=seconds)


def account(id: str, **values: Any) -> Account:
    """Return an account that is new."""
    new = Account(
        id=id,
        driver="mock",
        provider=None,
        own_login=True,
        is_enabled=True,
        created_at=START,
        changed_at=START,
        version=1,
    )
    return msgspec.structs.replace(new, **values)


def thing(id: str, *, account: str = "a", collection: str = "instances", **values: Any) -> Thing:
    """Return a thing; `tags` and `note` go into its body."""
    body = {"id": id, "account": account, "tags": values.pop("tags", {}), **values}
    values.pop("note", None)
    if values.get("created_at"):
        body["created_at"] = values["created_at"].isoformat()
    fields = {"name": id, "state": "RUNNING"} | values
    encoded = msgspec.json.encode(body)
    return Thing(account=account, collection=collection, id=id, body=encoded, **fields)
