"""Pages of several accounts as one list."""

import re
from collections.abc import Mapping
from typing import Any

from nimbi.broker.ids import MARK, marked, outward
from nimbi.model.accounts import NAME
from nimbi.model.errors import CloudError, Forbidden, Invalid, Unauthorized
from nimbi.model.page import Page

_NAME = re.compile(NAME)


def place_of(marker: str | None) -> tuple[str, str | None]:
    """Return with which account a page begins, and the marker there. Raises Invalid.

    An account that is gone by then leaves its place to the next one.
    """
    if marker is None:
        return "", None
    account, mark, inner = marker.partition(MARK)
    if not mark or _NAME.fullmatch(account) is None:
        raise Invalid("this is no marker of such a list")
    return account, inner or None


def joined(found: Mapping[str, Page[Any] | CloudError], limit: int) -> Page[Any]:
    """Return what fits of the accounts' pages. Raises the first account's error, if there is one.

    An account whose page does not fit behind the others is asked again with the next page.
    """
    failed = {name: error for name, error in found.items() if isinstance(error, CloudError)}
    if failed:
        raise _together(failed)
    items: list[Any] = []
    for name, page in found.items():
        if isinstance(page, CloudError):
            continue
        if items and len(items) + len(page.items) > limit:
            return Page(tuple(items), marked(name, ""))
        items += (outward(name, item) for item in page.items)
        if page.next is not None:
            return Page(tuple(items), marked(name, page.next))
    return Page(tuple(items))


def _together(failed: Mapping[str, CloudError]) -> CloudError:
    """Return one error of the kind of the first, that names all accounts that failed."""
    first = next(iter(failed.values()))
    words = "; ".join(
        error.message if name in error.message else f"account {name}: {error.message}"
        for name, error in failed.items()
    )
    kind = Forbidden if isinstance(first, Unauthorized) else type(first)
    return kind(f"{words} (choose other accounts as provider, or disable these)")
