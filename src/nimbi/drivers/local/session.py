"""Login to the local cloud, its errors, and how its lists are cut into pages."""

import asyncio
import errno
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterable
from collections.abc import Collection as AnyOf
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2s
from hmac import compare_digest
from typing import Literal, TypeVar

import msgspec

from nimbi.blobstore import BlobStore, BlobstoreError, open_store
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
    Unsupported,
)
from nimbi.model.page import Page
from nimbi.model.resource import Resource
from nimbi.qemu import Hypervisor, Image, QemuError, open_hypervisor
from nimbi.qemu.network.addresses import BALANCED, STATIC, pool
from nimbi.qemu.network.records import Made
from nimbi.qemu.options import Options

LIMITS = (1, 1000)

ERRORS: dict[str, type[CloudError]] = {
    "missing": CloudUnavailable,
    "not_found": NotFound,
    "conflict": Conflict,
    "capacity": OutOfCapacity,
    "invalid": Invalid,
    "unsupported": Unsupported,
    "unusable": CloudUnavailable,
    "timeout": Timeout,
    "failed": CloudError,
}
"""By the codes of `nimbi.qemu.errors` and `nimbi.blobstore.errors`."""

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
K = TypeVar("K", bound=Made)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The driver's part of the settings file.

    `network` is how guests are connected: by the best way that this machine allows (`auto`), or by
    `user`, `userns` or `root`. `addresses` and `balancer_addresses` are blocks of addresses of this
    machine, to be held and for load balancers. With `outgoing` off guests reach nothing; they are
    reached still. On, they always reach the outside, which on the rung `user` may take in the
    host's own loopback; unset, wherever they can do no harm.
    """

    network: Literal["auto", "user", "userns", "root"] = "auto"
    addresses: str = str(STATIC)
    balancer_addresses: str = str(BALANCED)
    outgoing: bool | None = None

    def __post_init__(self) -> None:
        """Raise ValueError, which the reader of the file shows, for pools that are none."""
        try:
            self.options()
        except QemuError as error:
            raise ValueError(str(error)) from None

    def options(self) -> Options:
        """Return what the hypervisor takes. Raises QemuError."""
        static, balanced = pool(self.addresses), pool(self.balancer_addresses)
        return Options(
            network=self.network,
            addresses=static,
            balancer_addresses=balanced,
            outgoing=self.outgoing,
        )


@dataclass
class LocalCloud:
    """What all sessions of this process share."""

    hypervisor: Hypervisor
    blobs: BlobStore
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
    """Find the guests and blobs of this machine again.

    Raises CloudUnavailable when their directory can't be used.
    """
    async with AsyncExitStack() as open:
        try:
            known: Kept = await asyncio.to_thread(kept, place.state_dir)
            hypervisor = await open.enter_async_context(
                open_hypervisor(place.state_dir, settings.options())
            )
            blobs = await open.enter_async_context(open_store(place.state_dir / "blobs"))
        except (OSError, BlobstoreError) as error:
            raise CloudUnavailable(f"the local cloud's state can't be kept: {error}") from error
        secret = bytes.fromhex(known.secret)
        cloud = LocalCloud(hypervisor, blobs, settings, login_of(known), secret)
        yield cloud
        await cloud.close()


@asynccontextmanager
async def open_session(cloud: LocalCloud, account: Account) -> AsyncIterator[Session]:
    """Log in. There is one user, and any provider is this machine."""
    login = account.credentials
    if login is not None and not is_right(login, cloud.login):
        raise Unauthorized("the local cloud knows no such user and password")
    yield Session(cloud, None if login is None else cloud.login.user)


def to_error(error: Exception) -> CloudError | None:
    """Sort the errors of guests, images and blobs by code, and those of the operating system."""
    if isinstance(error, QemuError | BlobstoreError):
        return ERRORS[error.code](str(error))
    if isinstance(error, OSError) and (kind := OS_ERRORS.get(error.errno or 0)):
        return kind(f"the local cloud's state can't be kept: {error.strerror}")
    return None


def rank(made: Made) -> str:
    """Return what sorts by age, and differs between any two things."""
    return f"{made.created_at.isoformat(timespec='microseconds')} {made.id}"


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
        after = "" if marker is None else self.unsealed(marker)
        found = sorted((item for item in items if rank(item) > after), key=rank)
        more = len(found) > limit
        return Page(tuple(found[:limit]), self.sealed(rank(found[limit - 1])) if more else None)

    def paged_as(
        self, kept: AnyOf[K], tell: Callable[[K], R], marker: str | None, limit: int
    ) -> Page[R]:
        """Return one page of what was made, the oldest first, as `tell` tells it."""
        ranks = {made.id: rank(made) for made in kept}
        return self.paged(map(tell, kept), marker, limit, lambda told: ranks[told.id])

    def sealed(self, last: str, scope: str = "") -> str:
        """Return the marker of a page that ends with `last`; `scope` tells lists apart."""
        key = self._session.cloud.secret
        told = f"{self.name}\0{scope}\0{last}".encode(errors="surrogatepass")
        seal = blake2s(told, key=key, digest_size=8)
        return f"{urlsafe_b64encode(last.encode()).decode()}.{seal.hexdigest()}"

    def unsealed(self, marker: str, scope: str = "") -> str:
        """Return where the next page begins. Raises Invalid for a marker of another list."""
        try:
            last = urlsafe_b64decode(marker.partition(".")[0]).decode()
        except ValueError:
            last = ""
        right = self.sealed(last, scope).encode()
        if not compare_digest(right, marker.encode(errors="replace")):
            raise Invalid("the marker of the page is not one that this list gave")
        return last
