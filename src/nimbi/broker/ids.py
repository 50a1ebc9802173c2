"""Ids of things in several accounts: `ACCOUNT:ID`, put on and taken off in all that refers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec

from nimbi.model.buckets import Blob, BlobContent, Upload
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.page import Page
from nimbi.model.resource import NewResource, Resource

# No account's name holds one, so that the first colon ends it whatever the cloud's own id holds.
MARK = ":"

# Fields and parameters that name a thing of the same account.
ONE = frozenset(
    {
        "boot_volume_id",
        "bucket_id",
        "external_network_id",
        "image_id",
        "instance_id",
        "hardware_profile_id",
        "key_id",
        "load_balancer_id",
        "network_id",
        "realm_id",
        "snapshot_id",
        "source_image_id",
        "subnet_id",
        "volume_id",
    }
)
MANY = frozenset(
    {
        "firewall_ids",
        "hardware_profile_ids",
        "instance_ids",
        "network_ids",
        "network_interface_ids",
        "realm_ids",
        "subnet_ids",
    }
)

# Things that are named within a bucket: their own ids are not of the account.
WITHIN = (Blob, Upload)


@dataclass(frozen=True)
class _Plan:
    """What of a struct refers to things: fields of one id, of several, of structs that may."""

    one: tuple[str, ...]
    many: tuple[str, ...]
    inner: tuple[str, ...]


def marked(account: str, id: str) -> str:
    """Return an id as it is among several accounts."""
    return f"{account}{MARK}{id}"


def split(id: str) -> tuple[str, str]:
    """Return the account and the cloud's own id. Raises NotFound for an id without account."""
    account, mark, own = id.partition(MARK)
    if not mark or not account:
        raise NotFound(f"here an id begins with its account: ACCOUNT{MARK}ID")
    return account, own


def outward(account: str, answer: Any) -> Any:
    """Return what one account answered, with the ids that it has among several."""
    if isinstance(answer, Page):
        return replace(answer, items=tuple(outward(account, item) for item in answer.items))
    if isinstance(answer, tuple):
        return tuple(outward(account, item) for item in answer)
    if isinstance(answer, BlobContent):
        return replace(answer, blob=outward(account, answer.blob))
    if isinstance(answer, msgspec.Struct):
        return _mapped(answer, lambda id: marked(account, id))
    return answer


class Inward:
    """Takes the account off all ids of a call, and remembers it: they must agree."""

    def __init__(self) -> None:
        self.account: str | None = None

    def id(self, id: str) -> str:
        """Return the cloud's own id. Raises NotFound, and Invalid for one of another account."""
        account, own = split(id)
        if self.account is not None and account != self.account:
            raise Invalid(f"one call has things of two accounts: {self.account} and {account}")
        self.account = account
        return own

    def argument(self, name: str, value: Any, *, is_within: bool) -> Any:
        """Return an argument; `is_within` says that `id` and `ids` are names within a bucket."""
        if isinstance(value, msgspec.Struct):
            return _mapped(value, self.id)
        if isinstance(value, str) and (name in ONE or (name == "id" and not is_within)):
            return self.id(value)
        return value

    def wish(self, new: NewResource) -> NewResource:
        """Return a wish that refers to nothing, whose name begins with the account instead."""
        name = getattr(new, "name", None)
        if not isinstance(name, str) or MARK not in name:
            raise Invalid(
                "which account is it for? Choose the account as provider, or begin the name with "
                f"it: ACCOUNT{MARK}NAME"
            )
        return msgspec.structs.replace(new, name=self.id(name))


def _mapped(thing: msgspec.Struct, change: Callable[[str], str]) -> Any:
    plan = _plan(type(thing))
    changes: dict[str, Any] = {}
    for field in plan.one:
        value = getattr(thing, field)
        if value is not None:
            changes[field] = change(value)
    for field in plan.many:
        values = getattr(thing, field)
        if values:
            changes[field] = tuple(change(value) for value in values)
    for field in plan.inner:
        value = getattr(thing, field)
        if isinstance(value, msgspec.Struct):
            changes[field] = _mapped(value, change)
        elif isinstance(value, tuple) and value:
            changes[field] = tuple(
                _mapped(each, change) if isinstance(each, msgspec.Struct) else each
                for each in value
            )
    return msgspec.structs.replace(thing, **changes) if changes else thing


@cache
def _plan(kind: type[msgspec.Struct]) -> _Plan:
    fields = [field.name for field in msgspec.structs.fields(kind)]
    hints = get_type_hints(kind)
    has_own_id = issubclass(kind, Resource) and not issubclass(kind, WITHIN)
    return _Plan(
        one=tuple(f for f in fields if f in ONE or (f == "id" and has_own_id)),
        many=tuple(f for f in fields if f in MANY),
        inner=tuple(f for f in fields if any(_structs_in(hints[f]))),
    )


def _structs_in(hint: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs that a type holds, also within tuples and unions."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for inner in get_args(hint):
        yield from _structs_in(inner)
