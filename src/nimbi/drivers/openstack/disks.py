"""What Cinder and Glance have in common: texts and times."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nimbi.drivers.openstack.marks import checked
from nimbi.model.errors import CloudError, Invalid

Json = Mapping[str, Any]

MARK = "nimbi:token"
"""The name of the metadata and properties that hold the token of a wish."""

REFUSED = frozenset({400, 409})
"""How Cinder, and Nova for it, refuse what the present state forbids: most often as 400."""

# Databases that keep three bytes a character know none beyond this.
LAST_CHARACTER = "\uffff"


def text_of(text: str | None, what: str) -> str | None:
    """Return a text of a user. Raises Invalid for what the cloud would not keep as it is."""
    if text is None:
        return None
    if checked(text, what) != text.strip():
        raise Invalid(f"{what} begins or ends with a space")
    if any(character > LAST_CHARACTER for character in text):
        raise Invalid(f"{what} has characters beyond the first plane of Unicode")
    return text


def when(thing: Json, name: str) -> datetime | None:
    """Return a time of the cloud, aware, in UTC. Raises CloudError for what is none."""
    told = thing.get(name)
    if not told:
        return None
    try:
        time = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        raise CloudError(f"the cloud gave no time as {name}") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
