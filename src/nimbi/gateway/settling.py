"""When a thing has come to rest after an operation: the states that do not pass by themselves."""

from collections.abc import Collection as AnyOf
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from nimbi.driver.capabilities import Function
from nimbi.driver.compute import Instances
from nimbi.driver.states import StateMachine
from nimbi.model.errors import NotFound
from nimbi.model.instances import InstanceState
from nimbi.model.volumes import Volume, VolumeState

if TYPE_CHECKING:
    from nimbi.gateway.cloud import Cloud

# States that pass by themselves, of all kinds of things.
PASSING = frozenset({"start", "pending", "stopping"})


async def settled(
    cloud: "Cloud", get: Function, args: tuple[Any, ...], operation: str, timeout_s: float
) -> Any | None:
    """Return a thing once it rests after an operation such as `stop`; None when it is gone.

    `get` and `args` fetch it. An error is a rest too. Raises Timeout after `timeout_s`, and what
    the cloud raises.
    """
    if operation == "destroy":
        await cloud.wait_gone(get, *args, timeout_s=timeout_s)
        return None
    first = await _first(cloud, get, args)
    if first is None:
        return None
    is_instance = get is Instances.get
    until = resting(cloud.instance_states, operation) if is_instance else _rest_of(first, operation)
    try:
        return await cloud.wait(get, *args, until=until, timeout_s=timeout_s)
    except NotFound:
        return None


def resting(machine: StateMachine, operation: str) -> AnyOf[InstanceState]:
    """Return where an operation leads instances in the end: `stop` to STOPPED, all to ERROR.

    Of an operation that leads to no state of its own, these are all that do not pass.
    """
    reached = {way.to for way in machine.transitions if way.by == operation}
    if operation in {"create", "create_many", "upload", "rebuild", "unshelve"}:
        reached = set()
    rest: set[InstanceState] = set()
    seen: set[InstanceState] = set()
    while reached:
        state = reached.pop()
        seen.add(state)
        onward = {way.to for way in machine.leaving(state) if way.by is None}
        if onward and state in PASSING:
            reached |= onward - seen
        else:
            rest.add(state)
    if not rest:
        rest = {state for state in InstanceState if state not in PASSING}
    return frozenset({*rest, InstanceState.ERROR, InstanceState.FINISH})


def _rest_of(thing: Any, operation: str) -> AnyOf[StrEnum]:
    if operation == "detach" and isinstance(thing, Volume) and len(thing.attachments) <= 1:
        # Clouds answer before the guest has let go of it. Only of several guests others may stay.
        return frozenset({VolumeState.AVAILABLE, VolumeState.ERROR})
    kind = type(thing.state)
    return frozenset(state for state in kind if state not in PASSING)


async def _first(cloud: "Cloud", get: Function, args: tuple[Any, ...]) -> Any | None:
    if get is Instances.get:
        # Its states are known without looking.
        return True
    try:
        return await cloud.call(get, *args)
    except NotFound:
        return None
