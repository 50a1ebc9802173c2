"""Leading instances through their state machine, and things of any kind to their end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from nimbi.driver.compute import Instances
from nimbi.driver.states import StateMachine, Transition
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import NotFound
from nimbi.model.instances import Instance, InstanceState

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 2.0

# What leads through the states; all else has an end of its own, and a test of its own.
STEPS = frozenset({None, "create", "start", "stop", "pause", "resume", "destroy"})

# What must be undone before an instance can be led anywhere, by the field that tells.
UNDONE = {"locked": Instances.unlock, "rescued": Instances.unrescue}

ENDS = frozenset({InstanceState.START, InstanceState.FINISH})


def resting_states(machine: StateMachine) -> tuple[InstanceState, ...]:
    """Return the states in which an instance stays until somebody acts: `(RUNNING, STOPPED)`."""
    return tuple(
        state
        for state in machine.states
        if state not in ENDS and all(t.by is not None for t in machine.leaving(state))
    )


def arrivals(machine: StateMachine, transition: Transition) -> frozenset[InstanceState]:
    """Return where a transition may be seen to lead: its target, and what follows by itself."""
    found = {transition.to}
    while True:
        more = {t.to for s in found for t in machine.leaving(s) if t.by is None} - found
        if not more:
            return frozenset(found)
        found |= more


def way(cloud: Cloud, state: InstanceState, to: InstanceState) -> tuple[Transition, ...] | None:
    """Return the shortest way between two states by what the cloud supports, None if there is none.

    Never over the end of the instance, save when that is the aim.
    """
    machine = cloud.driver.instance_states
    ways: dict[InstanceState, tuple[Transition, ...]] = {state: ()}
    open_ends = [state]
    while open_ends:
        here = open_ends.pop(0)
        if here is to:
            return ways[here]
        for step in machine.leaving(here):
            possible = step.by is None or f"instances.{step.by}" in cloud.operations
            if (
                possible
                and step.by in STEPS
                and step.to not in ways
                and (step.to not in ENDS or step.to is to)
            ):
                ways[step.to] = (*ways[here], step)
                open_ends.append(step.to)
    return None


async def rested(cloud: Cloud, id: str, timeout_s: float) -> Instance:
    """Return an instance as soon as it is in a state that it does not leave by itself."""
    resting = set(resting_states(cloud.driver.instance_states))
    return await cloud.wait(
        Instances.get,
        id,
        until=resting,
        failing={InstanceState.ERROR} - resting,
        timeout_s=timeout_s,
    )


async def brought(cloud: Cloud, id: str, to: InstanceState, timeout_s: float) -> Instance:
    """Return an instance after leading it to a resting state.

    Raises AssertionError when the state machine shows no way there.
    """
    instance = await rested(cloud, id, timeout_s)
    steps = way(cloud, instance.state, to)
    assert steps is not None, f"no way leads from {instance.state} to {to}"
    for step in steps:
        if step.by is not None:
            await cloud.call(_operation(step.by), id)
        instance = await cloud.wait(
            Instances.get,
            id,
            until=arrivals(cloud.driver.instance_states, step),
            timeout_s=timeout_s,
        )
    return await rested(cloud, id, timeout_s) if steps else instance


async def made_destroyable(cloud: Cloud, id: str, timeout_s: float) -> None:
    """Lead an instance to a state in which it can be destroyed."""
    machine = cloud.driver.instance_states
    instance = await cloud.call(Instances.get, id)
    for field, undo in UNDONE.items():
        if getattr(instance, field):
            await cloud.call(undo, id)
    if "destroy" in machine.operations(instance.state):
        return
    instance = await rested(cloud, id, timeout_s)
    ways = {
        state: steps
        for state in machine.states
        if "destroy" in machine.operations(state)
        and (steps := way(cloud, instance.state, state)) is not None
    }
    assert ways, f"an instance that is {instance.state} can never be destroyed"
    await brought(cloud, id, min(ways, key=lambda state: len(ways[state])), timeout_s)


async def gone(get: Callable[[], Awaitable[Any]], timeout_s: float) -> None:
    """Return as soon as a thing is not found any more. Raises AssertionError when it stays."""

    async def is_gone() -> bool:
        try:
            thing = await get()
        except NotFound:
            return True
        return getattr(thing, "state", None) is InstanceState.FINISH

    await comes_true(is_gone, "it is still found after it was destroyed", timeout_s)


async def comes_true(look: Callable[[], Awaitable[bool]], otherwise: str, timeout_s: float) -> None:
    """Return as soon as `look` says so. Raises AssertionError(otherwise) after `timeout_s`."""
    loop = asyncio.get_running_loop()
    until, pause_s = loop.time() + timeout_s, FIRST_PAUSE_S
    while not await look():
        assert loop.time() < until, otherwise
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _operation(verb: str) -> Callable[..., Awaitable[Any]]:
    operation: Callable[..., Awaitable[Any]] = getattr(Instances, verb)
    return operation
