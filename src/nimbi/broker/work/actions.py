"""Actions on single things, each with how a thing is to which it was done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nimbi.broker.work.removal import remove
from nimbi.driver.capabilities import BY_ID, INTERFACES
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.instances import InstanceState
from nimbi.model.work import Target

R, S, P = InstanceState.RUNNING, InstanceState.STOPPED, InstanceState.PAUSED


@dataclass(frozen=True)
class Action:
    """One operation on a thing of a collection.

    `is_so` tells of a thing whether it is as the operation leaves it; None when that cannot be
    seen: then a job that was cut off does it again. `back` is the operation that undoes it.
    """

    operation: str
    is_so: Callable[[Any], bool] | None = None
    back: str | None = None

    @property
    def collection(self) -> str:
        return self.operation.partition(".")[0]

    @property
    def removes(self) -> bool:
        return self.operation.endswith(".destroy")


def _in(*states: InstanceState) -> Callable[[Any], bool]:
    return lambda thing: thing.state in states


# Stopping counts as stopped: it comes to that by itself.
_OF_INSTANCES = (
    Action("instances.start", _in(R, InstanceState.PENDING), "instances.stop"),
    Action("instances.stop", _in(S, InstanceState.STOPPING), "instances.start"),
    Action("instances.reboot"),
    Action("instances.pause", _in(P), "instances.resume"),
    Action("instances.resume", _in(R), "instances.pause"),
    Action("instances.shelve", lambda thing: bool(thing.shelved), "instances.unshelve"),
    Action("instances.unshelve", lambda thing: not thing.shelved, "instances.shelve"),
    Action("instances.lock", lambda thing: bool(thing.locked), "instances.unlock"),
    Action("instances.unlock", lambda thing: not thing.locked, "instances.lock"),
)
# Blobs are named by two ids.
_REMOVING = tuple(
    Action(f"{one.name}.destroy")
    for one in INTERFACES
    if f"{one.name}.destroy" in BY_ID and one.name != "blobs"
)

ACTIONS: Mapping[str, Action] = {one.operation: one for one in (*_OF_INSTANCES, *_REMOVING)}


def action_of(operation: str) -> Action:
    """Return the action of an operation's name. Raises Invalid for what is none."""
    found = ACTIONS.get(operation)
    if found is None:
        raise Invalid(f"{operation[:60]!r} cannot be done to many; there are {', '.join(ACTIONS)}")
    return found


async def is_done(cloud: Cloud, action: Action, target: Target) -> bool | None:
    """Return whether a thing is so already, or gone if that is the aim; None if nobody can say.

    Raises NotFound for one that is gone, and Conflict for another thing by the same id.
    """
    get: Any = BY_ID[f"{action.collection}.get"].function
    try:
        thing = await cloud.call(get, target.id)
    except NotFound:
        if action.removes:
            return True
        raise
    made_at = getattr(thing, "created_at", None)
    if target.created_at is not None and made_at is not None and made_at != target.created_at:
        raise Conflict(f"{target.id} is another thing by now")
    return action.is_so(thing) if action.is_so is not None else None


async def do(cloud: Cloud, action: Action, target: Target) -> None:
    """Do it to one thing, unless it is so already. May be done again after it was cut off."""
    if await is_done(cloud, action, target):
        return
    if action.removes:
        await remove(cloud, action.collection, target.id)
        return
    try:
        operation: Any = BY_ID[action.operation].function
        await cloud.call(operation, target.id)
    except Conflict:
        # The try before may have done it, without that anybody got the answer.
        if not await is_done(cloud, action, target):
            raise
