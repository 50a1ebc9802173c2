"""Which collections can be listed over all accounts, and which of them are remembered."""

import inspect
from collections.abc import Mapping

from nimbi.driver.capabilities import INTERFACES, Function

# Numbers of the moment: they are asked for whenever somebody wants them.
OF_THE_MOMENT = frozenset({"metrics", "quotas"})


def _is_whole(page: Function) -> bool:
    """Return whether a list needs nothing else than an account: blobs need a bucket."""
    return list(inspect.signature(page).parameters)[1] == "marker"


# Operations that give pages, by the name of the collection.
LISTED: Mapping[str, Function] = {
    interface.name: page
    for interface in INTERFACES
    if (page := getattr(interface, "page", None)) is not None and _is_whole(page)
}
REMEMBERED = tuple(name for name in LISTED if name not in OF_THE_MOMENT)
