"""The two roots of all structs here: what a cloud reports, and what a caller asks."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in a cloud.

    `id` is the cloud's own, opaque. `extra` is the cloud's own answer, read-only, for what the
    fields do not say.
    """

    id: str
    extra: Mapping[str, Any] = {}


class NewResource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wish for one new thing.

    The same `token` twice gives the same thing, not two; the gateway makes one up when it is None.
    """

    token: str | None = None

    def check(self) -> None:
        """Raise Invalid when the fields contradict each other, whatever the cloud."""
