"""The typed client of the native API, async and sync."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nimbi.client.client import Client, SyncClient
    from nimbi.client.flow import Retries
    from nimbi.client.in_process import InProcess, SyncInProcess
    from nimbi.client.listings import Listed, Listing

__all__ = [
    "Client",
    "InProcess",
    "Listed",
    "Listing",
    "Retries",
    "SyncClient",
    "SyncInProcess",
]

# Imported at their first use: the command line needs little of this, and quickly.
WHERE = {
    "Client": "nimbi.client.client",
    "SyncClient": "nimbi.client.client",
    "Retries": "nimbi.client.flow",
    "InProcess": "nimbi.client.in_process",
    "SyncInProcess": "nimbi.client.in_process",
    "Listed": "nimbi.client.listings",
    "Listing": "nimbi.client.listings",
}


def __getattr__(name: str) -> Any:
    if name in WHERE:
        from importlib import import_module

        return getattr(import_module(WHERE[name]), name)
    raise AttributeError(f"module 'nimbi.client' has no attribute {name!r}")
