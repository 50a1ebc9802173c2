"""A database of each kind, and jobs in it."""

from collections.abc import Callable

import pytest
from tests.jobs.lab import Lab
from tests.store.conftest import database, databases, keyring, new_url, template, url

from nimbi.store.sealing import Keyring

__all__ = ["database", "databases", "keyring", "lab", "new_url", "template", "url"]


@pytest.fixture
def lab(url: str, keyring: Keyring) -> Lab:
    """Give jobs on SQLite, then on PostgreSQL."""
    return Lab(url, keyring)


@pytest.fixture
def quick_lab(new_url: Callable[..., str], keyring: Keyring) -> Lab:
    """Give jobs on SQLite alone, for what is the same on both."""
    return Lab(new_url("sqlite"), keyring)
