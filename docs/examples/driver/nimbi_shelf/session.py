"""Login to Shelf, the one way to call it, and what its errors mean."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from nimbi.driver.interface import Account, Place, UserAndPassword
from nimbi.model.errors import CloudError, Invalid, NotFound, Unauthorized
from nimbi_shelf.cloud import Shelf, ShelfError

P = ParamSpec("P")
T = TypeVar("T")

# By the code of Shelf, never by its text.
ERRORS: dict[str, type[CloudError]] = {
    "bad_login": Unauthorized,
    "bad_value": Invalid,
    "no_such_disk": NotFound,
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`folder` is where the disks are; None is a folder in Nimbi's own state."""

    folder: str | None = None


@dataclass(frozen=True)
class Session:
    """One login. `user` is None when nobody logged in."""

    shelf: Shelf
    user: str | None

    async def call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a method of the SDK returns. It blocks, so it runs in a thread."""
        if self.user is None:
            raise Unauthorized("Shelf needs a user and a password")
        return await asyncio.to_thread(method, *args, **kwargs)


@asynccontextmanager
async def start(settings: Settings, place: Place) -> AsyncIterator[Shelf]:
    """Give what all logins of this process share."""
    yield Shelf(Path(settings.folder) if settings.folder else place.state_dir / "disks")


@asynccontextmanager
async def open_session(shelf: Shelf, account: Account) -> AsyncIterator[Session]:
    login: UserAndPassword | None = account.credentials
    if login is not None:
        await asyncio.to_thread(shelf.check_login, login.user, login.password)
    yield Session(shelf, login.user if login is not None else None)


def to_error(error: Exception) -> CloudError | None:
    if isinstance(error, ShelfError) and error.code in ERRORS:
        return ERRORS[error.code](f"Shelf: {error.text}")
    return None
