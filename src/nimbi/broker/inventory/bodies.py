"""Things as the inventory keeps them, made of what clouds report."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from nimbi.model.instances import Instance
from nimbi.model.inventory import Thing
from nimbi.model.keys import Key
from nimbi.model.resource import Resource

# Fields of things that have a column of their own. `state` is an enum of words.
COLUMNS = ("name", "realm_id", "image_id", "hardware_profile_id", "created_at")

# Whatever a driver gives can be told, if need be as text.
_encode = msgspec.json.Encoder(enc_hook=str).encode
# Where `extra` stands in the JSON of a thing that has nothing in it; no text can hold this.
NO_EXTRA = b'"extra":{},'


def _without_password(instance: Any) -> Any:
    login = instance.login
    if login is None or login.password is None:
        return instance
    return msgspec.structs.replace(instance, login=msgspec.structs.replace(login, password=None))


def _without_secrets(key: Any) -> Any:
    return msgspec.structs.replace(key, private_key=None, password=None)


# What clouds tell once, or to whoever is logged in, is not kept for all who may read lists.
SECRETS: Mapping[type[Resource], Callable[[Any], Any]] = {
    Instance: _without_password,
    Key: _without_secrets,
}


def without_secrets(resource: Any) -> Any:
    """Return a thing as whoever may read it sees it, without what only its maker is told."""
    hide = SECRETS.get(type(resource))
    return resource if hide is None else hide(resource)


@cache
def columns_of(kind: type[Resource]) -> tuple[str, ...]:
    """Return which of COLUMNS a kind of thing has."""
    return tuple(name for name in COLUMNS if name in kind.__struct_fields__)


def body_of(account: str, resource: Resource) -> bytes:
    """Return a thing's JSON, with its account, without `extra` and without secrets."""
    told = without_secrets(resource)
    if told.extra:
        told = msgspec.structs.replace(told, extra={})
    try:
        body = _encode(told)
    except UnicodeEncodeError:
        body = _encode(_readable(msgspec.to_builtins(told, enc_hook=str)))
    return b'{"account":"%b",%b' % (account.encode(), body.replace(NO_EXTRA, b"", 1)[1:])


def _readable(told: Any) -> Any:
    """Return what JSON can carry: halves of characters become question marks."""
    if isinstance(told, str):
        return told.encode("utf-8", "replace").decode()
    if isinstance(told, dict):
        return {_readable(key): _readable(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [_readable(item) for item in told]
    return told


def thing_of(
    account: str, collection: str, resource: Resource, *, made_here: bool = False
) -> Thing:
    """Return what the inventory keeps of a thing."""
    state = getattr(resource, "state", None)
    return Thing(
        account=account,
        collection=collection,
        id=resource.id,
        state=None if state is None else str(state),
        made_here=made_here,
        body=body_of(account, resource),
        **{name: getattr(resource, name) for name in columns_of(type(resource))},
    )
