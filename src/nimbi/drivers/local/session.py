"""Login to the local cloud, its errors, and how its lists are cut into pages."""

import asyncio
import errno
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2s
from hmac import compare_digest
from typing import TypeVar

import msgspec

from nimbi.driver.interface import Account, Place, UserAndPassword
from nimbi.driver.operation import Collection
from nimbi.drivers.local.login import Kept, is_right, kept, login_of
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    Invalid,
    NotFound,
    OutOfCapacity,
    Timeout,
    Unauthorized,
)
from nimbi.model.page import Page
from nimbi.model.resource import Resource
from nimbi.qemu import Hypervisor, Image, QemuError, open_hypervisor

LIMITS = (1, 1000)

ERRORS: dict[str, type[CloudError]] = {
    "missing": CloudUnavailable,
    "not_found": NotFound,
    "conflict": Conflict,
    "capacity": OutOfCapacity,
    "invalid": Invalid,
    "timeout": Timeout,
    "failed": CloudError,
}
"""By the codes of `nimbi.qemu.errors`."""

OS_ERRORS: dict[int, type[CloudError]] = {
    errno.ENOSPC: OutOfCapacity,
    errno.EDQUOT: OutOfCapacity,
    errno.EMFILE: OutOfCapacity,
    errno.ENFILE: OutOfCapacity,
    errno.EACCES: CloudUnavailable,
    errno.EROFS: CloudUnavailable,
}
"""errno(3): what the operating system says of the state directory."""

R = TypeVar("R", bound=Resource)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The driver's part of the settings file.

    Without `outgoing` guests reach nothing, not even the host's loopback; they are reached still.
    """

    outgoing: bool = True


@dataclass
class LocalCloud:
    """What all sessions of this process share."""

    hypervisor: Hypervisor
    settings: Settings
    login: UserAndPassword
    secret: bytes = field(repr=False)
    _building: asyncio.Task[Image] | None = None

    async def demo_image(self) -> Image:
        """Return the demo image, which this process looks for, or builds, once.

        A caller who gives up does not stop the building: the next one finds it further on.
        """
        if self._building is None or _failed(self._building):
            self._building = asyncio.create_task(self.hypervisor.build_demo_image())
        return await asyncio.shield(self._building)

    async def close(self) -> None:
        """Give up what is being built."""
        if self._building is not None:
            self._building.cancel()
            await asyncio.gather(self._building, return_exceptions=True)


def _failed(task: asyncio.Task[Image]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


@dataclass(frozen=True)
class Session:
    """One login. `user` is None when none was given."""

    cloud: LocalCloud
    user: str | None


@asynccontextmanager
async def start(settings: Settings, place: Place) -> AsyncIterator[LocalCloud]:
    """Find the guests of this machine again. Raises CloudUnavailable without its directory."""
    try:
        known: Kept = await asyncio.to_thread(kept, place.state_dir)
        opening = open_hypervisor(place.state_dir)
        hypervisor = await opening.__aenter__()
    except OSError as error:
        raise CloudUnavailable(f"the local cloud's state can't be kept: {error}") from error
    try:
        cloud = LocalCloud(hypervisor, settings, login_of(known), bytes.fromhex(known.secret))
        yield cloud
        await cloud.close()
    finally:
        await opening.__aexit__(None, None, None)


@asynccontextmanager
async def open_session(cloud: LocalCloud, account: Account) -> AsyncIterator[Session]:
    """Log in. There is one user, and any provider is this machine."""
    login = account.credentials
    if login is not None and not is_right(login, cloud.login):
        raise Unauthorized("the local cloud knows no such user and password")
    yield Session(cloud, None if login is None else cloud.login.user)


def to_error(error: Exception) -> CloudError | None:
    """Sort the errors of guests and images by code, and those of the operating system."""
    if isinstance(error, QemuError):
        return ERRORS[error.code](str(error))
    if isinstance(error, OSError) and (kind := OS_ERRORS.get(error.errno or 0)):
        return kind(f"the local cloud's state can't be kept: {error.strerror}")
    return None


class OfSession(Collection):
    """What all collections here share."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def cloud(self) -> LocalCloud:
        """The cloud, for whoever is logged in."""
        if self._session.user is None:
            raise Unauthorized("the local cloud needs a user and a password")
        return self._session.cloud

    @property
    def user(self) -> str | None:
        """The one who is logged in."""
        return self._session.user

    def paged(
        self, items: Iterable[R], marker: str | None, limit: int, rank: Callable[[R], str]
    ) -> Page[R]:
        """Return one page of what is ordered by `rank`, which no two items share."""
        if not LIMITS[0] <= limit <= LIMITS[1]:
            raise Invalid(f"the limit of a page is {LIMITS[0]} to {LIMITS[1]}, not {limit}")
        after = "" if marker is None else self._unsealed(marker)
        found = sorted((item for item in items if rank(item) > after), key=rank)
        more = len(found) > limit
        return Page(tuple(found[:limit]), self._sealed(rank(found[limit - 1])) if more else None)

    def _sealed(self, last: str) -> str:
        key = self._session.cloud.secret
        seal = blake2s(f"{self.name}\0{last}".encode(), key=key, digest_size=8)
        return f"{urlsafe_b64encode(last.encode()).decode()}.{seal.hexdigest()}"

    def _unsealed(self, marker: str) -> str:
        try:
            last = urlsafe_b64decode(marker.partition(".")[0]).decode()
        except ValueError:
            last = ""
        right = self._sealed(last).encode()
        if not compare_digest(right, marker.encode(errors="replace")):
            raise Invalid("the marker of the page is not one that this list gave")
        return last
