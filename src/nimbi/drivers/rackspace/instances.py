"""Cloud Servers: instances of Nova, as it was before its microversions."""

from typing import ClassVar

from msgspec.structs import replace

from nimbi.driver.compute import Instances
from nimbi.driver.states import StateMachine, Transition
from nimbi.drivers.openstack.instances import STATES as NOVA_STATES
from nimbi.drivers.openstack.instances import OpenStackInstances
from nimbi.drivers.openstack.launch import Launch
from nimbi.drivers.openstack.placement import placed
from nimbi.drivers.openstack.servers import all_whole, one
from nimbi.model.errors import Invalid
from nimbi.model.instances import Instance, InstanceState, Login, NewInstance

NOT_DONE = frozenset({"pause", "resume", "shelve", "unshelve", "lock", "unlock"})
STATES = StateMachine(
    states=NOVA_STATES.states,
    transitions=(
        *(each for each in NOVA_STATES.transitions if each.by not in NOT_DONE),
        # Rackspace itself suspends instances, and lets them go on.
        Transition(InstanceState.RUNNING, InstanceState.PAUSED),
        Transition(InstanceState.PAUSED, InstanceState.RUNNING),
    ),
)
NOT_HERE = frozenset(
    {
        "realm_filter",
        "firewalls",
        "subnet",
        "fixed_address",
        "network_interfaces",
        "scheduler_hints",
    }
)


class RackspaceInstances(OpenStackInstances):
    """Instances. One without networks is in the public one and in ServiceNet.

    Who asks for no key gets a password, which is told once: when the instance is made.
    """

    features: ClassVar[frozenset[str]] = (OpenStackInstances.features - NOT_HERE) | {
        "authentication_password"
    }

    create_many = Instances.create_many
    pause = Instances.pause
    resume = Instances.resume
    shelve = Instances.shelve
    unshelve = Instances.unshelve
    lock = Instances.lock
    unlock = Instances.unlock
    console = Instances.console

    async def create(self, new: NewInstance) -> Instance:
        if new.realm_id is not None and new.realm_id != self.session.region:
            raise Invalid(f"{new.realm_id[:100]!r} is not the region {self.session.region}")
        # Data come by no other way than the drive.
        drive = new.config_drive or (True if new.user_data else None)
        return await super().create(replace(new, realm_id=None, config_drive=drive))

    async def _made(self, wish: Launch) -> tuple[Instance, ...]:
        # There are no reservations of several.
        server = {
            name: value
            for name, value in wish.body["server"].items()
            if name not in {"min_count", "max_count"}
        }
        answer = await self.session.post("compute", "/servers", {**wish.body, "server": server})
        told = one(answer, "server")
        self.session.fresh(told["id"])
        made = await all_whole(self.session, await placed(self.session, [told["id"]]))
        password = told.get("adminPass")
        if not password:
            return made
        return tuple(
            replace(
                each,
                login=Login(
                    key_id=each.login.key_id if each.login else None,
                    user=each.login.user if each.login else None,
                    password=password,
                ),
            )
            for each in made
        )
