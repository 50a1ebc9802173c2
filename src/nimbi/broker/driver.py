"""Accounts as a driver, for clients that know of drivers and providers only."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec

from nimbi.broker.forwarding import Session, forwarded
from nimbi.driver.capabilities import INTERFACES, OPERATIONS
from nimbi.driver.interface import Account, Driver, Place
from nimbi.driver.operation import Collection
from nimbi.driver.states import StateMachine, Transition
from nimbi.model.features import features_of
from nimbi.model.instances import InstanceState

if TYPE_CHECKING:
    from nimbi.broker.site import Broker

NAME = "nimbi"

RUNNING, STOPPED, FINISH = InstanceState.RUNNING, InstanceState.STOPPED, InstanceState.FINISH
PENDING, PAUSED = InstanceState.PENDING, InstanceState.PAUSED

# What instances of several clouds have in common; one account's own is told by its session.
STATES = StateMachine(
    states=tuple(InstanceState),
    transitions=(
        Transition(InstanceState.START, PENDING, "create"),
        Transition(PENDING, RUNNING),
        Transition(PENDING, FINISH, "destroy"),
        Transition(RUNNING, RUNNING, "reboot"),
        Transition(RUNNING, InstanceState.STOPPING, "stop"),
        Transition(RUNNING, FINISH, "destroy"),
        Transition(PAUSED, RUNNING, "resume"),
        Transition(PAUSED, FINISH, "destroy"),
        Transition(InstanceState.STOPPING, STOPPED),
        Transition(STOPPED, PENDING, "start"),
        Transition(STOPPED, FINISH, "destroy"),
        Transition(InstanceState.ERROR, FINISH, "destroy"),
    ),
)


def accounts_driver(broker: "Callable[[], Broker]") -> Driver[Any, Any]:
    """Return the driver `nimbi`. `broker` is asked for at its first use.

    Its provider is an account, several with commas between them, or `all`, which is the default;
    its password a token, whatever the user. With one account, ids are those of its cloud; with
    several they are `ACCOUNT:ID`, and a thing is made in the account of whatever its wish refers
    to, or else of the account before its name: `ACCOUNT:NAME`.

    A list over several accounts is whole or an error that names the account: this protocol has no
    place to say that a part is missing.
    """

    @asynccontextmanager
    async def start(_settings: Any, _place: Place) -> AsyncIterator["Broker"]:
        yield broker()

    return Driver(
        name=NAME,
        title="Nimbi",
        start=start,
        open=_open,
        # Each account's own cloud repeats its calls.
        calls={"attempts": 1},
        collections=COLLECTIONS,
        instance_states=STATES,
        narrow=lambda session: session.collections,
        providers=lambda session: session.providers,
        states=lambda session: session.states,
    )


@asynccontextmanager
async def _open(broker: "Broker", account: Account) -> AsyncIterator[Session]:
    yield await Session.opened(broker, account)


class OfSession(Collection):
    """What all collections here share: their session, and the features that it tells."""

    def __init__(self, session: Session) -> None:
        self.session = session
        told = session.features.get(self.name)
        if told is not None:
            # Those of this one account, in place of all that there are.
            self.__dict__["features"] = told


def _collection(interface: type[Collection]) -> type[Collection]:
    """Return a collection with all operations and features of an interface."""
    operations = {
        operation.id.partition(".")[2]: forwarded(operation)
        for operation in OPERATIONS.values()
        if operation.interface is interface
    }
    told: Mapping[str, Any] = {"features": frozenset(_features(operations)), **operations}
    return type(f"Accounts{interface.__name__}", (OfSession, interface), dict(told))


def _features(operations: Mapping[str, Any]) -> Iterator[str]:
    for function in operations.values():
        for hint in get_type_hints(function.__wrapped__).values():
            for kind in _structs_in(hint):
                yield from (feature.name for feature in features_of(kind).values())


def _structs_in(hint: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
        for inner in get_type_hints(hint).values():
            yield from _structs_in(inner)
    for inner in get_args(hint):
        yield from _structs_in(inner)


COLLECTIONS: tuple[type[Collection], ...] = tuple(_collection(each) for each in INTERFACES)
