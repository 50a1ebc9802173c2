"""Login to the mock cloud, and what is the same around each of its operations."""

import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from hmac import compare_digest
from inspect import signature
from typing import Any, ClassVar, TypeVar

from nimbi.driver.capabilities import OPERATIONS, Operation, interface_of
from nimbi.driver.interface import Account, Place, UserAndPassword
from nimbi.driver.operation import Collection
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.injector import Call
from nimbi.drivers.mock.seed import USER
from nimbi.drivers.mock.table import R, Table, page_of
from nimbi.drivers.mock.world import State
from nimbi.model.errors import CloudError, CloudUnavailable, OutOfCapacity, Unauthorized
from nimbi.model.page import Page

LOGIN = UserAndPassword(user=USER, password="mockpassword")  # noqa: S106  known to all

# errno(3): what a full disk or an exhausted process tells, when bytes of blobs are kept.
ERRORS = {
    errno.ENOSPC: OutOfCapacity,
    errno.EDQUOT: OutOfCapacity,
    errno.EMFILE: OutOfCapacity,
    errno.ENFILE: OutOfCapacity,
}


@dataclass(frozen=True)
class Session:
    """One login. `user` is None when none was given; `past` is what a stale list shows."""

    cloud: MockCloud
    user: str | None
    past: State | None = field(default=None, repr=False)

    @property
    def state(self) -> State:
        """The cloud as it is, for reading."""
        return self.past or self.cloud.world.state

    def change(self) -> AbstractContextManager[State]:
        """Give a draft of the cloud, as `World.change` does."""
        return self.cloud.world.change()


@asynccontextmanager
async def start(settings: Settings, place: Place) -> AsyncIterator[MockCloud]:
    """Find the cloud or make a new one. Raises CloudUnavailable when its folder can't be used."""
    try:
        cloud = MockCloud(settings, scratch=place.state_dir / "scratch")
    except OSError as error:
        raise CloudUnavailable(f"the mock cloud can't be kept: {error}") from error
    try:
        yield cloud
    finally:
        cloud.close()


@asynccontextmanager
async def open_session(cloud: MockCloud, account: Account) -> AsyncIterator[Session]:
    """Log in to any provider: all of them show the same cloud."""
    login = account.credentials
    if login is not None and not _is_right(login):
        raise Unauthorized("the mock cloud knows no such user and password")
    yield Session(cloud, None if login is None else LOGIN.user)


def _is_right(login: UserAndPassword) -> bool:
    pairs = ((login.user, LOGIN.user), (login.password, LOGIN.password))
    # Both are compared, whatever the first says, so that time tells nothing.
    same = [
        compare_digest(given.encode(errors="surrogatepass"), right.encode())
        for given, right in pairs
    ]
    return all(same)


def to_error(error: Exception) -> CloudError | None:
    """Sort what the operating system says of the files in which blobs are kept."""
    if isinstance(error, OSError) and (kind := ERRORS.get(error.errno or 0)):
        return kind(f"the mock cloud can keep no more: {error.strerror}")
    return None


class OfSession(Collection):
    """What all collections here share: their session, and how lists are cut into pages."""

    needs_login: ClassVar[bool] = True

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def user(self) -> str:
        """The one who is logged in."""
        if self.session.user is None:
            raise Unauthorized("the mock cloud needs a user and a password")
        return self.session.user

    def paged(self, table: Table[R], marker: str | None, limit: int, scope: str = "") -> Page[R]:
        """Return one page. `scope` tells lists of one collection apart."""
        return page_of(
            table,
            marker,
            limit,
            scope=f"{self.name}\0{scope}",
            secret=lambda: self.session.state.secret,
        )


C = TypeVar("C", bound=OfSession)
Function = Callable[..., Awaitable[Any]]


def offered(collection: type[C]) -> type[C]:
    """Put the check of the login and the faults around each operation of a collection."""
    interface = interface_of(collection)
    for operation in OPERATIONS.values():
        name = operation.id.partition(".")[2]
        if operation.interface is interface and name in vars(collection):
            setattr(collection, name, _guarded(operation, vars(collection)[name]))
    return collection


def _guarded(operation: Operation, function: Function) -> Function:
    @wraps(function)
    async def guarded(self: OfSession, *args: Any, **kwargs: Any) -> Any:
        session = self.session
        if session.user is None and self.needs_login:
            raise Unauthorized("the mock cloud needs a user and a password")
        injector = session.cloud.injector
        if injector is None:
            return await function(self, *args, **kwargs)
        arguments = parameters.bind(self, *args, **kwargs)
        call = Call(operation, arguments.arguments, session.user)
        await injector.before(call)
        arguments.arguments["self"] = type(self)(replace(session, past=call.past))
        result = await function(*arguments.args, **arguments.kwargs)
        injector.after(call)
        return result

    parameters = signature(function)
    return guarded
