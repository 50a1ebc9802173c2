"""Removing things for good: what is gone is gone, what runs is stopped first."""

import asyncio

from nimbi.driver.capabilities import BY_ID
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, NotFound, Timeout
from nimbi.model.instances import InstanceState

PATIENCE_S = 120.0
FIRST_S, GROWTH, LONGEST_S = 0.2, 1.5, 5.0


async def remove(cloud: Cloud, collection: str, id: str) -> None:
    """Destroy a thing; one that is gone stays so. May be done again after it was cut off.

    An instance that its cloud destroys only when it is stopped is stopped before. Raises Timeout
    for one that cannot be destroyed in two minutes, and what the cloud raises.
    """
    if collection == "instances":
        await _remove_instance(cloud, id)
        return
    try:
        await cloud.call(BY_ID[f"{collection}.destroy"].function, id)
    except NotFound:
        return


async def _remove_instance(cloud: Cloud, id: str) -> None:
    pause_s = FIRST_S
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await _is_removed(cloud, id):
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * GROWTH, LONGEST_S)
    except TimeoutError as error:
        raise Timeout(f"{id} could not be destroyed in {PATIENCE_S:g} s") from error


async def _is_removed(cloud: Cloud, id: str) -> bool:
    """Take the next step towards the end; return whether that was the last."""
    try:
        instance = await cloud.instances.get(id)
    except NotFound:
        return True
    if instance.state is InstanceState.FINISH:
        return True
    if instance.locked:
        raise Conflict(f"{id} is locked")
    possible = cloud.instance_operations(instance)
    try:
        if "destroy" in possible:
            await cloud.instances.destroy(id)
            return True
        if "stop" in possible:
            await cloud.instances.stop(id)
    except NotFound:
        return True
    except Conflict:
        # Its state is another by now.
        return False
    return False
