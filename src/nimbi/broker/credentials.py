"""An account's credentials: from what a caller gave to a driver's own kind, and to what is kept."""

import types
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin

import msgspec

from nimbi.gateway.registry import AnyDriver
from nimbi.model.errors import CloudError, Invalid

# All that a message of msgspec may show: names of fields and types, and never a value.
MISSING = "Object missing required field "
EXPECTED = "Expected "


def credentials_of(driver: AnyDriver, given: Mapping[str, Any]) -> Any:
    """Return a driver's credentials of the fields that a caller gave; nothing is guessed.

    Raises Invalid, in words that show no value.
    """
    kinds = _kinds(driver.credentials)
    known = {name for kind in kinds for name in fields_of(kind)}
    if not set(given) <= known:
        raise Invalid(f"a login to {driver.name} has the fields {_listed(known)}, and no others")
    try:
        found = msgspec.convert(given, driver.credentials, strict=True)
        msgspec.json.encode(found)
    except msgspec.ValidationError as error:
        raise Invalid(f"this is no login to {driver.name}: {_harmless(str(error))}") from None
    except (UnicodeEncodeError, TypeError):
        raise Invalid(f"this is no login to {driver.name}: a field is no Unicode text") from None
    return found


def kept(credentials: Any) -> bytes:
    """Return credentials as they are sealed."""
    return msgspec.json.encode(credentials)


def restored(driver: AnyDriver, plain: bytes) -> Any:
    """Return credentials of what was sealed. Raises CloudError when the driver has changed."""
    try:
        return msgspec.json.decode(plain, type=driver.credentials)
    except msgspec.MsgspecError:
        raise CloudError(
            f"the stored login is none to {driver.name} as it is now: store it again"
        ) from None


def fields_of(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the names of the fields of one kind of login, its tag first if it has one."""
    config = kind.__struct_config__
    tag = (config.tag_field,) if config.tag_field else ()
    return (*tag, *(field.encode_name for field in msgspec.structs.fields(kind)))


def _kinds(credentials: Any) -> tuple[type[msgspec.Struct], ...]:
    if get_origin(credentials) in (Union, types.UnionType):
        return get_args(credentials)
    return (credentials,)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _harmless(message: str) -> str:
    """Return what is wrong, without the value that some messages repeat."""
    text, _, where = message.partition(" - at ")
    place = f" at {where}" if where else ""
    if text.startswith((MISSING, EXPECTED)):
        return text + place
    return f"a field is not as it has to be{place}"
