"""Instances of the mock cloud: they run at once, and only as words."""

from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from nimbi.driver.compute import Instances
from nimbi.driver.consoles import ConsoleStream
from nimbi.driver.states import StateMachine, Transition
from nimbi.drivers.mock.attachment import disassociated, left
from nimbi.drivers.mock.console import GREETINGS, EchoingConsole, console_text
from nimbi.drivers.mock.joining import freed
from nimbi.drivers.mock.launch import check_image, check_wish, launched, sizes_after
from nimbi.drivers.mock.screen import picture
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.world import State
from nimbi.model.consoles import ConsoleKind, ConsoleLink
from nimbi.model.errors import Conflict, Invalid
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

MOST_AT_ONCE = 100

AT_REST = (InstanceState.RUNNING, InstanceState.PAUSED, InstanceState.STOPPED)

STATES = StateMachine(
    states=(
        InstanceState.START,
        InstanceState.PENDING,
        InstanceState.RUNNING,
        InstanceState.PAUSED,
        InstanceState.STOPPED,
        InstanceState.FINISH,
    ),
    transitions=(
        Transition(InstanceState.START, InstanceState.PENDING, "create"),
        Transition(InstanceState.PENDING, InstanceState.RUNNING),
        Transition(InstanceState.RUNNING, InstanceState.RUNNING, "reboot"),
        Transition(InstanceState.RUNNING, InstanceState.STOPPED, "stop"),
        Transition(InstanceState.RUNNING, InstanceState.PAUSED, "pause"),
        Transition(InstanceState.PAUSED, InstanceState.RUNNING, "start"),
        Transition(InstanceState.PAUSED, InstanceState.RUNNING, "resume"),
        Transition(InstanceState.PAUSED, InstanceState.STOPPED, "stop"),
        Transition(InstanceState.PAUSED, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.STOPPED, InstanceState.RUNNING, "start"),
        Transition(InstanceState.STOPPED, InstanceState.STOPPED, "resize"),
        Transition(InstanceState.STOPPED, InstanceState.FINISH, "destroy"),
        Transition(InstanceState.RUNNING, InstanceState.RUNNING, "rebuild"),
        Transition(InstanceState.RUNNING, InstanceState.RUNNING, "rescue"),
        Transition(InstanceState.RUNNING, InstanceState.RUNNING, "unrescue"),
        Transition(InstanceState.STOPPED, InstanceState.STOPPED, "rebuild"),
        *(Transition(state, InstanceState.STOPPED, "shelve") for state in AT_REST),
        Transition(InstanceState.STOPPED, InstanceState.RUNNING, "unshelve"),
        *(Transition(state, state, verb) for state in AT_REST for verb in ("lock", "unlock")),
    ),
)


@offered
class MockInstances(OfSession, Instances):
    """Instances. The lowest free `inst` number is the id of the next one."""

    features: ClassVar[frozenset[str]] = frozenset(
        {
            "realm_filter",
            "user_name",
            "user_data",
            "user_files",
            "authentication_key",
            "authentication_password",
            "firewalls",
            "register_to_load_balancer",
            "attach_snapshot",
            "metrics",
            "state_filter",
            "tag_filter",
            "tags",
            "volume_mappings",
            "changed_since",
            "fixed_address",
            "networks",
            "network_interfaces",
            "boot_from_volume",
            "config_drive",
            "scheduler_hints",
        }
    )

    async def page(
        self, marker: str | None, limit: int, where: InstanceFilter = InstanceFilter()
    ) -> Page[Instance]:
        state = self.session.state
        instances = state.instances_of(self.session.user)
        if where != InstanceFilter():
            instances = instances.where(lambda instance: _is_wanted(state, instance, where))
        return self.paged(instances, marker, limit)

    async def get(self, id: str) -> Instance:
        return self.session.state.instance_of(self.user, id)

    async def create(self, new: NewInstance) -> Instance:
        return self._made("instances.create", new, 1)[0]

    async def create_many(self, new: NewInstance, count: int) -> tuple[Instance, ...]:
        if not 1 <= count <= MOST_AT_ONCE:
            raise Invalid(f"1 to {MOST_AT_ONCE} instances can be made at once, not {count}")
        return self._made("instances.create_many", new, count)

    async def start(self, id: str) -> None:
        self._move(id, "start", launched_at=datetime.now(UTC))

    async def stop(self, id: str) -> None:
        self._move(id, "stop")

    async def reboot(self, id: str) -> None:
        self._move(id, "reboot")

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            _next_state(state.instance_of(self.user, id), "destroy")
            _take_apart(state, id)
            state.instances = state.instances.without(id)
            state.boots = {other: boot for other, boot in state.boots.items() if other != id}

    async def pause(self, id: str) -> None:
        self._move(id, "pause")

    async def resume(self, id: str) -> None:
        self._move(id, "resume")

    async def resize(self, id: str, sizes: Sizes) -> Instance:
        with self.session.change() as state:
            instance = state.instance_of(self.user, id)
            _next_state(instance, "resize")
            resized = msgspec.structs.replace(instance, sizes=sizes_after(instance, sizes))
            state.instances = state.instances.having(resized)
            return resized

    async def rebuild(self, id: str, image_id: str) -> Instance:
        with self.session.change() as state:
            instance = state.instance_of(self.user, id)
            _next_state(instance, "rebuild")
            check_image(state, image_id, instance.hardware_profile_id)
            rebuilt = msgspec.structs.replace(instance, image_id=image_id)
            state.instances = state.instances.having(rebuilt)
            return rebuilt

    async def rescue(self, id: str) -> None:
        self._move(id, "rescue", rescued=True)

    async def unrescue(self, id: str) -> None:
        self._move(id, "unrescue", rescued=False)

    async def shelve(self, id: str) -> None:
        self._move(id, "shelve", shelved=True)

    async def unshelve(self, id: str) -> None:
        self._move(id, "unshelve", shelved=False, launched_at=datetime.now(UTC))

    async def lock(self, id: str) -> None:
        if not self.session.state.instance_of(self.user, id).locked:
            self._move(id, "lock", locked=True)

    async def unlock(self, id: str) -> None:
        if self.session.state.instance_of(self.user, id).locked:
            self._move(id, "unlock", locked=False)

    async def run(self, id: str, command: Command) -> CommandResult:
        """Return what was asked: there is no machine to run it on."""
        instance = self.session.state.instance_of(self.user, id)
        if instance.state is not InstanceState.RUNNING:
            raise Conflict(f"the instance {id!r} is {instance.state}, and runs no command")
        return CommandResult(
            address=command.address or instance.public_addresses[0].address,
            output=f"This cloud is a mock, nothing was run: {command.line}\n",
            exit_status=0,
        )

    async def console(self, id: str) -> bytes:
        """Return a boot as a real machine would tell it, with the user data and files it got."""
        state = self.session.state
        return console_text(state.instance_of(self.user, id), state.boots.get(id))

    async def screenshot(self, id: str) -> bytes:
        """Return a picture of the words on the console."""
        instance = self._awake(id)
        return picture(console_text(instance, self.session.state.boots.get(id)))

    async def console_link(self, id: str) -> ConsoleLink:
        """Return a URL of a host that RFC 2606 keeps from ever being one: nothing answers there."""
        awake = self._awake(id)
        return ConsoleLink(url=f"http://consoles.mock.invalid/{awake.id}", protocol="vnc")

    async def open_console(self, id: str, kind: ConsoleKind) -> ConsoleStream:
        """Open a console that greets, then says again what it is told."""
        return EchoingConsole(GREETINGS[kind].format(id=self._awake(id).id).encode())

    def _awake(self, id: str) -> Instance:
        instance = self.session.state.instance_of(self.user, id)
        if instance.state not in {InstanceState.RUNNING, InstanceState.PAUSED}:
            raise Conflict(f"the instance {id!r} is {instance.state}: nobody is at its console")
        return instance

    def _made(self, operation: str, new: NewInstance, count: int) -> tuple[Instance, ...]:
        with self.session.change() as state:
            if made := state.made_with(operation, new.token):
                return tuple(state.instance_of(self.user, id) for id in made)
            check_wish(state, new)
            ids = tuple(launched(state, new, self.user) for _ in range(count))
            state.remember(operation, new.token, *ids)
            return tuple(state.instances.get(id, "instance") for id in ids)

    def _move(self, id: str, verb: str, **facts: bool | datetime) -> None:
        with self.session.change() as state:
            instance = state.instance_of(self.user, id)
            moved = msgspec.structs.replace(instance, state=_next_state(instance, verb), **facts)
            state.instances = state.instances.having(moved)


def _is_wanted(state: State, instance: Instance, where: InstanceFilter) -> bool:
    if where.changed_since is not None:
        changed_at = state.changes.get(instance.id)
        if changed_at is None or changed_at < where.changed_since:
            return False
    return (
        where.realm_id in {None, instance.realm_id}
        and where.state in {None, instance.state}
        and where.tags.items() <= instance.tags.items()
    )


def _next_state(instance: Instance, verb: str) -> InstanceState:
    if verb in STATES.operations_on(instance):
        return next(t.to for t in STATES.leaving(instance.state) if t.by == verb)
    marks = [mark for mark in ("locked", "rescued", "shelved") if getattr(instance, mark)]
    now = ", ".join((instance.state, *marks))
    raise Conflict(f"the instance {instance.id!r} is {now}: it can't {verb} now")


def _take_apart(state: State, id: str) -> None:
    """Free all that the instance holds: volumes, addresses, interfaces, places at balancers."""
    for held in state.instances.get(id, "instance").volumes:
        left(state, state.volumes.get(held.volume_id, "volume"), id)
    for address in state.addresses.where(lambda address: address.instance_id == id).whole.items:
        disassociated(state, address)
    freed(state, id)
    registered = state.load_balancers.where(lambda balancer: id in balancer.instance_ids)
    state.load_balancers = state.load_balancers.having(
        *(
            msgspec.structs.replace(
                balancer, instance_ids=tuple(i for i in balancer.instance_ids if i != id)
            )
            for balancer in registered.whole.items
        )
    )
