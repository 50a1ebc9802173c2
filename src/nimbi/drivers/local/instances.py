"""Instances of the local cloud: real guests on this machine."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import ClassVar

from nimbi.driver.compute import Instances
from nimbi.driver.consoles import ConsoleStream
from nimbi.driver.states import StateMachine, Transition
from nimbi.drivers.local.hardware_profiles import (
    default_for,
    fitting_profile,
    profile,
    sized,
    whole,
)
from nimbi.drivers.local.keys import find_key
from nimbi.drivers.local.load_balancers import balanced_ports, join_balancer
from nimbi.drivers.local.realms import LOCAL, realm
from nimbi.drivers.local.session import OfSession, Session
from nimbi.drivers.local.telling import (
    LOGIN_USER,
    Attached,
    Joined,
    attachments,
    connections,
    login_user,
    told,
)
from nimbi.drivers.local.volumes import attach_snapshot, check_snapshot
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import CloudError, Conflict, Invalid
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import (
    Command,
    CommandResult,
    Instance,
    InstanceFilter,
    InstanceState,
    NewInstance,
)
from nimbi.model.page import Page
from nimbi.qemu import ConsoleKind as Console
from nimbi.qemu import Guest, GuestSpec, QemuError
from nimbi.qemu.guests.spec import SSH
from nimbi.qemu.hypervisor import guest_id

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
        Transition(InstanceState.RUNNING, InstanceState.PAUSED, "pause"),
        Transition(InstanceState.RUNNING, InstanceState.STOPPING, "stop"),
        Transition(InstanceState.RUNNING, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.PAUSED, InstanceState.RUNNING, "resume"),
        Transition(InstanceState.PAUSED, InstanceState.RUNNING, "start"),
        Transition(InstanceState.PAUSED, InstanceState.STOPPING, "stop"),
        Transition(InstanceState.PAUSED, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.STOPPING, InstanceState.STOPPED),
        Transition(InstanceState.STOPPING, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.STOPPED, InstanceState.PENDING, "start"),
        Transition(InstanceState.STOPPED, InstanceState.STOPPED, "resize"),
        Transition(InstanceState.STOPPED, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.ERROR, InstanceState.PENDING, "start"),
        Transition(InstanceState.ERROR, InstanceState.FINISH, "destroy"),
    ),
)


FABRIC_FEATURES = frozenset({"firewalls"})


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
            "attach_snapshot",
            "firewalls",
            "register_to_load_balancer",
        }
    )

    def __init__(self, session: Session) -> None:
        """Honour what the network allows: without a fabric there are no firewalls."""
        super().__init__(session)
        if not session.cloud.hypervisor.network.fabric:
            vars(self)["features"] = self.features - FABRIC_FEATURES

    async def page(
        self, marker: str | None, limit: int, where: InstanceFilter = InstanceFilter()
    ) -> Page[Instance]:
        guests = await self.cloud.hypervisor.guests()
        attached, joined = await self._attached(), await self._joined()
        found = [told(guest, self.user, attached, joined) for guest in guests]
        wanted = [i for i in found if where.realm_id in {None, i.realm_id}]
        return self.paged(wanted, marker, limit, _rank)

    async def get(self, id: str) -> Instance:
        return await self._told(await self.cloud.hypervisor.guest(id))

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
        """Start it; a paused one goes on, for callers who know no other word for that."""
        if await self._check(id, "start") is InstanceState.PAUSED:
            await self.cloud.hypervisor.resume(id)
        else:
            await self.cloud.hypervisor.start(id)

    async def stop(self, id: str) -> None:
        await self._check(id, "stop")
        await self.cloud.hypervisor.stop(id)

    async def reboot(self, id: str) -> None:
        await self._check(id, "reboot")
        await self.cloud.hypervisor.reboot(id)

    async def pause(self, id: str) -> None:
        await self._check(id, "pause")
        await self.cloud.hypervisor.pause(id)

    async def resume(self, id: str) -> None:
        await self._check(id, "resume")
        await self.cloud.hypervisor.resume(id)

    async def resize(self, id: str, sizes: Sizes) -> Instance:
        """Give it the sizes; what its profile does not offer makes it one of the profile custom."""
        if sizes.storage_gib is not None:
            raise Invalid("the disk of an instance keeps its size")
        instance = await self.get(id)
        fitting = fitting_profile(instance.hardware_profile_id, sizes)
        guest = await self.cloud.hypervisor.resize(
            id,
            cpus=whole("cpus", sizes.cpus),
            memory_mib=whole("memory_mib", sizes.memory_mib),
            labels={"hardware_profile_id": fitting.id},
        )
        return await self._told(guest)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.destroy(id)

    async def run(self, id: str, command: Command) -> CommandResult:
        """Log in as the image's user, or as the named one, at the guest's own port here only."""
        guest = await self.cloud.hypervisor.guest(id)
        if command.private_key is None:
            raise Invalid("the local cloud runs commands with a private key only")
        if command.address not in {None, guest.address}:
            raise Invalid(f"{command.address!r} is not an address of the instance {id!r}")
        if command.port not in {None, SSH, guest.ports.get(SSH)}:
            raise Invalid(f"the instance {id!r} has no ssh at port {command.port}")
        # The guest's shell itself joins the two outputs: only it knows their order.
        user = command.user or login_user(guest)
        ended = await self.cloud.hypervisor.run(
            id, f"exec 2>&1\n{command.line}", command.private_key, user=user
        )
        output = ended.out.decode("utf-8", "replace")
        return CommandResult(address=guest.address, output=output, exit_status=ended.exit_code)

    async def console(self, id: str) -> bytes:
        return await self.cloud.hypervisor.console(id, CONSOLE_BYTES)

    async def screenshot(self, id: str) -> bytes:
        return await self.cloud.hypervisor.screenshot(id)

    async def open_console(self, id: str, kind: ConsoleKind) -> ConsoleStream:
        """Open it; of the serial console there is one, so a second caller gets a Conflict."""
        return await self.cloud.hypervisor.open_console(id, Console(kind.value))

    async def _create(self, new: NewInstance, token: str) -> Instance:
        self.cloud.hypervisor.check_programs()
        image_id = new.image_id or ""
        image = await self.cloud.hypervisor.image(image_id)
        asked = new.hardware_profile_id
        chosen = default_for(image) if asked is None else profile(asked)
        labels = {"hardware_profile_id": chosen.id, "realm_id": LOCAL.id}
        labels["login_user"] = image.login_user or LOGIN_USER
        # By this a wish whose answer was lost finds its guest; the token itself is not shown.
        wish = new.token or token
        labels["token"] = hashlib.sha256(wish.encode("utf-8", "surrogatepass")).hexdigest()[:32]
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
            image_id=image_id,
            cpus=sizes["cpus"],
            memory_mib=sizes["memory_mib"],
            disk_gib=sizes["storage_gib"],
            user_data=new.user_data or b"",
            user_files={file.path: file.content for file in new.user_files},
            public_keys=keys,
            password=new.password,
            outgoing=self.cloud.settings.outgoing is not False,
            firewall_ids=new.firewall_ids,
            ports=await balanced_ports(self.cloud, new),
            token=token,
            labels=labels,
        )
        await check_snapshot(self.cloud, new)
        guest = await self.cloud.hypervisor.create(spec)
        await attach_snapshot(self.cloud, new, guest.id, token)
        await join_balancer(self.cloud, new, guest.id)
        return await self._told(guest)

    async def _attached(self) -> Attached:
        return attachments(await self.cloud.hypervisor.volumes.all())

    async def _told(self, guest: Guest) -> Instance:
        return told(guest, self.user, await self._attached(), await self._joined())

    async def _joined(self) -> Mapping[str, Joined]:
        return connections(await self.cloud.hypervisor.network.records())

    async def _check(self, id: str, verb: str) -> InstanceState:
        instance = await self.get(id)
        if verb not in STATES.operations(instance.state):
            raise Conflict(f"the instance {id!r} is {instance.state}: it can't {verb} now")
        return instance.state


def _rank(instance: Instance) -> str:
    at = instance.created_at.isoformat(timespec="microseconds") if instance.created_at else ""
    return f"{at} {instance.id}"
