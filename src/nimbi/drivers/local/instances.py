"""Instances of the local cloud: real guests on this machine."""

import secrets
from typing import ClassVar

from nimbi.driver.compute import Instances
from nimbi.driver.states import StateMachine, Transition
from nimbi.drivers.local.hardware_profiles import DEFAULT, profile, sized
from nimbi.drivers.local.keys import find_key
from nimbi.drivers.local.realms import LOCAL, realm
from nimbi.drivers.local.session import OfSession
from nimbi.drivers.local.telling import told
from nimbi.model.errors import CloudError, Conflict, Invalid
from nimbi.model.instances import (
    Command,
    CommandResult,
    Instance,
    InstanceFilter,
    InstanceState,
    NewInstance,
)
from nimbi.model.page import Page
from nimbi.qemu import GuestSpec, QemuError
from nimbi.qemu.hypervisor import guest_id
from nimbi.qemu.spec import SSH

MOST_AT_ONCE = 100
CONSOLE_BYTES = 64 * 2**10

STATES = StateMachine(
    states=tuple(InstanceState),
    transitions=(
        Transition(InstanceState.START, InstanceState.PENDING, "create"),
        Transition(InstanceState.PENDING, InstanceState.RUNNING),
        Transition(InstanceState.PENDING, InstanceState.STOPPING, "stop"),
        Transition(InstanceState.PENDING, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.RUNNING, InstanceState.PENDING, "reboot"),
        Transition(InstanceState.RUNNING, InstanceState.STOPPING, "stop"),
        Transition(InstanceState.RUNNING, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.STOPPING, InstanceState.STOPPED),
        Transition(InstanceState.STOPPING, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.STOPPED, InstanceState.PENDING, "start"),
        Transition(InstanceState.STOPPED, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.ERROR, InstanceState.PENDING, "start"),
        Transition(InstanceState.ERROR, InstanceState.FINISH, "destroy"),
    ),
)


class LocalInstances(OfSession, Instances):
    """Guests. A guest's token is its identity, so that the same wish twice finds the same guest."""

    features: ClassVar[frozenset[str]] = frozenset(
        {
            "realm_filter",
            "user_name",
            "user_data",
            "user_files",
            "authentication_key",
            "authentication_password",
        }
    )

    async def page(
        self, marker: str | None, limit: int, where: InstanceFilter = InstanceFilter()
    ) -> Page[Instance]:
        guests = await self.cloud.hypervisor.guests()
        found = [told(guest, self.user) for guest in guests]
        wanted = [i for i in found if where.realm_id in {None, i.realm_id}]
        return self.paged(wanted, marker, limit, _rank)

    async def get(self, id: str) -> Instance:
        return told(await self.cloud.hypervisor.guest(id), self.user)

    async def create(self, new: NewInstance) -> Instance:
        return await self._create(new, new.token or secrets.token_hex(16))

    async def create_many(self, new: NewInstance, count: int) -> tuple[Instance, ...]:
        if not 1 <= count <= MOST_AT_ONCE:
            raise Invalid(f"1 to {MOST_AT_ONCE} instances can be made at once, not {count}")
        token = new.token or secrets.token_hex(16)
        made: list[Instance] = []
        try:
            for number in range(count):
                made.append(await self._create(new, f"{token} {number + 1} of {count}"))
        except (CloudError, QemuError):
            for instance in made:
                await self.cloud.hypervisor.destroy(instance.id)
            raise
        return tuple(made)

    async def start(self, id: str) -> None:
        await self._check(id, "start")
        await self.cloud.hypervisor.start(id)

    async def stop(self, id: str) -> None:
        await self._check(id, "stop")
        await self.cloud.hypervisor.stop(id)

    async def reboot(self, id: str) -> None:
        await self._check(id, "reboot")
        await self.cloud.hypervisor.reboot(id)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.destroy(id)

    async def run(self, id: str, command: Command) -> CommandResult:
        """Log in as root, or as the named user, at the guest's own port of this machine only."""
        guest = await self.cloud.hypervisor.guest(id)
        if command.private_key is None:
            raise Invalid("the local cloud runs commands with a private key only")
        if command.address not in {None, guest.address}:
            raise Invalid(f"{command.address!r} is not an address of the instance {id!r}")
        if command.port not in {None, SSH, guest.ports.get(SSH)}:
            raise Invalid(f"the instance {id!r} has no ssh at port {command.port}")
        # The guest's shell itself joins the two outputs: only it knows their order.
        ended = await self.cloud.hypervisor.run(
            id, f"exec 2>&1\n{command.line}", command.private_key, user=command.user or "root"
        )
        output = ended.out.decode("utf-8", "replace")
        return CommandResult(address=guest.address, output=output, exit_status=ended.exit_code)

    async def console(self, id: str) -> bytes:
        return await self.cloud.hypervisor.console(id, CONSOLE_BYTES)

    async def _create(self, new: NewInstance, token: str) -> Instance:
        asked = new.hardware_profile_id
        chosen = DEFAULT if asked is None else profile(asked)
        labels = {"hardware_profile_id": chosen.id, "realm_id": LOCAL.id}
        if new.realm_id is not None:
            labels["realm_id"] = realm(new.realm_id).id
        keys: tuple[str, ...] = ()
        if new.key_id is not None:
            keys = ((await find_key(self.cloud, new.key_id)).public_key,)
            labels["key_id"] = new.key_id
        if new.password is not None:
            labels["login"] = "by password"
        sizes = sized(chosen, new.sizes)
        spec = GuestSpec(
            name=f"instance-{guest_id(token)[2:10]}" if new.name is None else new.name,
            image_id=new.image_id,
            cpus=sizes["cpus"],
            memory_mib=sizes["memory_mib"],
            disk_gib=sizes["storage_gib"],
            user_data=new.user_data or b"",
            user_files={file.path: file.content for file in new.user_files},
            public_keys=keys,
            password=new.password,
            outgoing=self.cloud.settings.outgoing,
            token=token,
            labels=labels,
        )
        return told(await self.cloud.hypervisor.create(spec), self.user)

    async def _check(self, id: str, verb: str) -> None:
        instance = await self.get(id)
        if verb not in STATES.operations(instance.state):
            raise Conflict(f"the instance {id!r} is {instance.state}: it can't {verb} now")


def _rank(instance: Instance) -> str:
    at = instance.created_at.isoformat(timespec="microseconds") if instance.created_at else ""
    return f"{at} {instance.id}"
