"""What holds for the states of instances: legal operations work, others are refused."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from nimbi.driver.compute import Instances
from nimbi.driver.states import Transition
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.moves import ENDS, arrivals, brought, gone, resting_states, way
from nimbi.drivertest.needs import needs, require
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict
from nimbi.model.instances import Instance, InstanceState, NewInstance

VERBS = {
    "start": Instances.start,
    "stop": Instances.stop,
    "reboot": Instances.reboot,
    "pause": Instances.pause,
    "resume": Instances.resume,
}
ALL_VERBS = [*VERBS, "destroy"]


class ConformsToInstanceStates(Conformance):
    @needs("page")
    async def test_every_listed_state_is_declared(self, cloud: Cloud) -> None:
        states = {instance.state async for instance in cloud.each(Instances.page)}
        assert states <= set(cloud.driver.instance_states.states) - ENDS

    @needs("create")
    async def test_a_new_instance_is_where_create_leads(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        machine = cloud.driver.instance_states
        births = [t for t in machine.leaving(InstanceState.START) if t.by in {"create", None}]
        expected = {state for birth in births for state in arrivals(machine, birth)}
        assert (await made.create(Instances, new_instance)).state in expected

    @needs("create", "get")
    async def test_what_can_be_done_is_what_the_state_allows_and_the_cloud_supports(
        self, cloud: Cloud, instance: Instance
    ) -> None:
        allowed = cloud.driver.instance_states.operations_on(instance)
        supported = {id.partition(".")[2] for id in cloud.operations if id.startswith("instances.")}
        told = cloud.instance_operations(instance)
        assert told == tuple(verb for verb in allowed if verb in supported)

    @needs("create", "get")
    @pytest.mark.parametrize("verb", list(VERBS))
    async def test_a_legal_operation_leads_where_the_state_machine_says(
        self, cloud: Cloud, instance: Instance, verb: str
    ) -> None:
        require(cloud, VERBS[verb])
        machine = cloud.driver.instance_states
        for state in self.reachable(cloud, instance):
            for step in (t for t in machine.leaving(state) if t.by == verb):
                await brought(cloud, instance.id, state, self.patience_s)
                await cloud.call(VERBS[verb], instance.id)
                await cloud.wait(
                    Instances.get,
                    instance.id,
                    until=arrivals(machine, step),
                    failing={InstanceState.ERROR},
                    timeout_s=self.patience_s,
                )

    @needs("create", "get", "destroy")
    async def test_destroy_ends_an_instance_from_each_state_that_allows_it(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, doomed_instance: Instance
    ) -> None:
        machine = cloud.driver.instance_states
        states = [
            state
            for state in self.reachable(cloud, doomed_instance)
            if "destroy" in machine.operations(state)
        ]
        assert states, "no instance can ever be destroyed"
        for at, state in enumerate(states):
            id = doomed_instance.id
            if at:
                id = (await made.create(Instances, new_instance)).id
            await brought(cloud, id, state, self.patience_s)
            await cloud.call(Instances.destroy, id)
            await gone(partial(cloud.call, Instances.get, id), self.patience_s)

    @needs("create", "get")
    @pytest.mark.parametrize("verb", ALL_VERBS)
    async def test_an_illegal_operation_is_a_conflict_and_changes_nothing(
        self, cloud: Cloud, instance: Instance, verb: str
    ) -> None:
        operation: Callable[..., Awaitable[Any]] = getattr(Instances, verb)
        require(cloud, operation)
        machine = cloud.driver.instance_states
        forbidden = [
            state
            for state in self.reachable(cloud, instance)
            if verb not in machine.operations(state)
        ]
        if not forbidden:
            pytest.skip(f"{cloud.driver.name} allows {verb} in every state")
        for state in forbidden:
            before = await brought(cloud, instance.id, state, self.patience_s)
            with pytest.raises(Conflict):
                await cloud.call(operation, instance.id)
            assert (await cloud.call(Instances.get, instance.id)).state == before.state

    def reachable(self, cloud: Cloud, instance: Instance) -> list[InstanceState]:
        """Return the resting states to which an instance can be led, the nearest first, no ERROR.

        So an instance that is used by several tests is moved no more than needed.
        """
        ways: dict[InstanceState, tuple[Transition, ...]] = {
            state: steps
            for state in resting_states(cloud.driver.instance_states)
            if state is not InstanceState.ERROR
            and (steps := way(cloud, instance.state, state)) is not None
        }
        return sorted(ways, key=lambda state: len(ways[state]))
