"""Instances of Nova: what may be done with them, and when."""

from collections.abc import Callable
from datetime import UTC
from typing import Any, ClassVar

from nimbi.driver.compute import Instances
from nimbi.driver.states import StateMachine, Transition
from nimbi.drivers.openstack import consoles, launch, tags
from nimbi.drivers.openstack.actions import act, resized, unshelved
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.instance_facts import STATES as STATUSES
from nimbi.drivers.openstack.instance_facts import TASKS, Server, state_of
from nimbi.drivers.openstack.marks import digest
from nimbi.drivers.openstack.placement import placed
from nimbi.drivers.openstack.servers import (
    LEAVING,
    REALM,
    SIFTS_REALMS,
    all_listed,
    all_whole,
    find,
    found,
    listed,
    one,
    profiles_in,
    read,
    whole,
)
from nimbi.drivers.openstack.session import OfSession, Session
from nimbi.drivers.openstack.wishes import Sent, once
from nimbi.model.consoles import ConsoleLink
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import Instance, InstanceFilter, InstanceState, NewInstance
from nimbi.model.page import Page

MOST_AT_ONCE = 100

S = InstanceState

# Source: https://docs.openstack.org/nova/latest/reference/vm-states.html
STATES = StateMachine(
    states=(S.START, S.PENDING, S.RUNNING, S.PAUSED, S.STOPPING, S.STOPPED, S.ERROR, S.FINISH),
    transitions=(
        Transition(S.START, S.PENDING, "create"),
        Transition(S.PENDING, S.RUNNING),
        Transition(S.PENDING, S.STOPPED),
        Transition(S.PENDING, S.ERROR),
        Transition(S.PENDING, S.FINISH, "destroy"),
        Transition(S.RUNNING, S.RUNNING, "reboot"),
        Transition(S.RUNNING, S.STOPPING, "stop"),
        Transition(S.RUNNING, S.PAUSED, "pause"),
        Transition(S.RUNNING, S.PENDING, "rebuild"),
        Transition(S.RUNNING, S.PENDING, "rescue"),
        Transition(S.RUNNING, S.PENDING, "unrescue"),
        Transition(S.RUNNING, S.STOPPING, "shelve"),
        Transition(S.RUNNING, S.RUNNING, "lock"),
        Transition(S.RUNNING, S.RUNNING, "unlock"),
        Transition(S.RUNNING, S.STOPPING, "destroy"),
        Transition(S.PAUSED, S.RUNNING, "resume"),
        Transition(S.PAUSED, S.PAUSED, "lock"),
        Transition(S.PAUSED, S.PAUSED, "unlock"),
        Transition(S.PAUSED, S.FINISH, "destroy"),
        Transition(S.STOPPING, S.STOPPED),
        Transition(S.STOPPING, S.FINISH),
        Transition(S.STOPPING, S.STOPPING, "destroy"),
        Transition(S.STOPPED, S.PENDING, "start"),
        Transition(S.STOPPED, S.PENDING, "resize"),
        Transition(S.STOPPED, S.PENDING, "rebuild"),
        Transition(S.STOPPED, S.PENDING, "rescue"),
        Transition(S.STOPPED, S.STOPPING, "shelve"),
        Transition(S.STOPPED, S.PENDING, "unshelve"),
        Transition(S.STOPPED, S.STOPPED, "lock"),
        Transition(S.STOPPED, S.STOPPED, "unlock"),
        Transition(S.STOPPED, S.FINISH, "destroy"),
        Transition(S.ERROR, S.PENDING, "rebuild"),
        Transition(S.ERROR, S.ERROR, "lock"),
        Transition(S.ERROR, S.ERROR, "unlock"),
        Transition(S.ERROR, S.FINISH, "destroy"),
    ),
)


class OpenStackInstances(OfSession, Instances):
    """Instances. An action that comes while Nova is at work on one waits for its turn.

    The hypervisor names devices itself: those of volumes that are made with an instance only tell
    them apart in the wish, and none is told of an instance.
    """

    features: ClassVar[frozenset[str]] = frozenset(
        {
            "realm_filter",
            "state_filter",
            "tag_filter",
            "changed_since",
            "user_name",
            "user_data",
            "user_files",
            "authentication_key",
            "firewalls",
            "subnet",
            "tags",
            "volume_mappings",
            "boot_from_volume",
            "fixed_address",
            "networks",
            "network_interfaces",
            "config_drive",
            "scheduler_hints",
        }
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._sent = Sent()

    async def page(
        self, marker: str | None, limit: int, where: InstanceFilter = InstanceFilter()
    ) -> Page[Instance]:
        asked = await self._asked(where)
        told, ports, after = await listed(self.session, marker, limit, asked, _sifted(where))
        return Page(read(told, ports, await profiles_in(self.session, told)), after)

    async def get(self, id: str) -> Instance:
        told = await found(self.session, id)
        if state_of(told[0]) is S.FINISH:
            raise NotFound(f"there is no instance {id!r} any more")
        return await whole(self.session, told)

    async def create(self, new: NewInstance) -> Instance:
        return (await self._once(new, 1))[0]

    async def create_many(self, new: NewInstance, count: int) -> tuple[Instance, ...]:
        if not 1 <= count <= MOST_AT_ONCE:
            raise Invalid(f"1 to {MOST_AT_ONCE} instances can be made at once, not {count}")
        if count > 1 and (new.fixed_address or new.network_interface_ids or new.boot_volume_id):
            raise Invalid("an address, an interface or a volume is for one instance")
        return await self._once(new, count)

    async def start(self, id: str) -> None:
        await act(self.session, id, "os-start")

    async def stop(self, id: str) -> None:
        await act(self.session, id, "os-stop")

    async def reboot(self, id: str) -> None:
        """Ask the guest to restart; Nova does it by force when the guest does not."""
        await act(self.session, id, "reboot", {"type": "SOFT"})

    async def pause(self, id: str) -> None:
        await act(self.session, id, "pause")

    async def resume(self, id: str) -> None:
        """Let a paused instance go on, or one that an administrator has suspended to disk."""
        suspended = (await find(self.session, id)).status == "SUSPENDED"
        await act(self.session, id, "resume" if suspended else "unpause")

    async def resize(self, id: str, sizes: Sizes) -> Instance:
        """Return it with the flavour that differs from its own only in the asked sizes.

        Nova's asking back, whether the resized instance is as it should be, is answered with yes.
        """
        return await whole(self.session, await resized(self.session, id, sizes))

    async def rebuild(self, id: str, image_id: str) -> Instance:
        await act(self.session, id, "rebuild", {"imageRef": known(image_id, "image")})
        return await self.get(id)

    async def rescue(self, id: str) -> None:
        await act(self.session, id, "rescue", {})

    async def unrescue(self, id: str) -> None:
        await act(self.session, id, "unrescue")

    async def shelve(self, id: str) -> None:
        await act(self.session, id, "shelve")

    async def unshelve(self, id: str) -> None:
        await unshelved(self.session, id)

    async def lock(self, id: str) -> None:
        await act(self.session, id, "lock")

    async def unlock(self, id: str) -> None:
        await act(self.session, id, "unlock")

    async def destroy(self, id: str) -> None:
        path = f"/servers/{known(id, 'instance')}"

        async def once() -> None:
            await self.session.delete("compute", path)

        await self.session.calmed(once, lambda: self.session.server_is_busy(id))

    async def console(self, id: str) -> bytes:
        return await consoles.text_of(self.session, id)

    async def console_link(self, id: str) -> ConsoleLink:
        found = await self.get(id)
        if found.state is not S.RUNNING:
            raise Conflict(f"the instance {id!r} is {found.state}: it has no screen now")
        return await consoles.link_to(self.session, id)

    async def _asked(self, where: InstanceFilter) -> dict[str, Any]:
        """Return what Nova sifts by; times are read to the second."""
        asked: dict[str, Any] = {}
        if where.changed_since is not None:
            since = where.changed_since.astimezone(UTC)
            asked["changes-since"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        if where.state is not None and where.state not in TASKS.values():
            asked["status"] = [name for name, state in STATUSES.items() if state is where.state]
        if where.realm_id is not None and await self.session.supports("compute", SIFTS_REALMS):
            asked[REALM] = where.realm_id
        return asked

    async def _once(self, new: NewInstance, count: int) -> tuple[Instance, ...]:
        """Return the instances of a wish, which are made only once.

        A look before is needed only when the wish was sent before.
        """

        async def look() -> tuple[Instance, ...] | None:
            return await self._made_by(new.token) if new.token in self._sent else None

        async def make() -> tuple[Instance, ...]:
            wish = await launch.launch(self.session, new, count)
            self._sent.add(new.token)
            return await self._made(wish)

        made = await once(self.session, f"instance {count}", new.token, look, make)
        if len(made) != count:
            raise Conflict(f"the token was used before, for {len(made)} instances")
        return made

    async def _made(self, wish: launch.Launch) -> tuple[Instance, ...]:
        answer = await self.session.post(
            "compute", "/servers", wish.body, microversion=wish.microversion
        )
        if reservation := answer.get("reservation_id"):
            ids = await self._reserved(reservation)
        else:
            ids = [one(answer, "server")["id"]]
        for id in ids:
            self.session.fresh(id)
        return await all_whole(self.session, await placed(self.session, ids))

    async def _reserved(self, reservation_id: str) -> list[str]:
        asked = {"reservation_id": reservation_id}
        servers = self.session.each("compute", "/servers", "servers", asked)
        return [server["id"] async for server in servers]

    async def _made_by(self, token: str | None) -> tuple[Instance, ...] | None:
        """Return what a token has made; Nova sifts by tags since it has them."""
        has_tags = await self.session.supports("compute", launch.TAGGED)
        asked = {"tags": tags.mark_of(token)} if has_tags else {}
        kept = digest(token)
        told = [
            each
            for each in await all_listed(self.session, asked)
            if each[0].metadata.get(tags.TOKEN) == kept and _lives(each[0])
        ]
        return await all_whole(self.session, told) if told else None


def _lives(server: Server) -> bool:
    return server.task != LEAVING and state_of(server) is not S.FINISH


def _sifted(where: InstanceFilter) -> Callable[[Server], bool] | None:
    """Return what tells which servers to list, of those that Nova gives."""
    if where.state is None and where.realm_id is None and not where.tags:
        return None
    wanted = {tags.stored(key): value for key, value in where.tags.items()}.items()
    return lambda server: (
        (where.state is None or state_of(server) is where.state)
        and where.realm_id in (None, server.realm)
        and wanted <= server.metadata.items()
    )
