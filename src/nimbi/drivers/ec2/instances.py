"""Instances of EC2: what may be done with them, and when."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from nimbi.driver.compute import Instances
from nimbi.driver.states import StateMachine, Transition
from nimbi.drivers.ec2 import consoles, launch, tags
from nimbi.drivers.ec2.errors import AwsError, to_error
from nimbi.drivers.ec2.hardware_profiles import profiles_of
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.instance_facts import LIVE, NAMES, UNKNOWN, fetch, find, told
from nimbi.drivers.ec2.load_balancers import Ec2LoadBalancers
from nimbi.drivers.ec2.pages import paged
from nimbi.drivers.ec2.query import extra, filters, items, text
from nimbi.drivers.ec2.session import Element, OfSession, Session
from nimbi.drivers.ec2.wishes import Sent, once
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    Invalid,
    NotFound,
    Throttled,
    Timeout,
    UnknownOutcome,
)
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import Instance, InstanceFilter, InstanceState, NewInstance
from nimbi.model.page import Page

MOST_AT_ONCE = 100

# Between two looks whether an instance runs that a load balancer is to have.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 4.0

# After these errors the gateway sends a wish again, which then finds its instances.
PASSING = (Throttled, CloudUnavailable, Timeout, UnknownOutcome)

WRONG_STATE = frozenset({"IncorrectInstanceState", "IncorrectState"})

# Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
STATES = StateMachine(
    states=(
        InstanceState.START,
        InstanceState.PENDING,
        InstanceState.RUNNING,
        InstanceState.STOPPING,
        InstanceState.STOPPED,
        InstanceState.FINISH,
    ),
    transitions=(
        Transition(InstanceState.START, InstanceState.PENDING, "create"),
        Transition(InstanceState.PENDING, InstanceState.RUNNING),
        Transition(InstanceState.PENDING, InstanceState.STOPPING, "destroy"),
        Transition(InstanceState.RUNNING, InstanceState.RUNNING, "reboot"),
        Transition(InstanceState.RUNNING, InstanceState.STOPPING, "stop"),
        Transition(InstanceState.RUNNING, InstanceState.STOPPING, "destroy"),
        Transition(InstanceState.STOPPING, InstanceState.STOPPED),
        Transition(InstanceState.STOPPING, InstanceState.FINISH),
        Transition(InstanceState.STOPPING, InstanceState.STOPPING, "destroy"),
        Transition(InstanceState.STOPPED, InstanceState.PENDING, "start"),
        Transition(InstanceState.STOPPED, InstanceState.STOPPED, "resize"),
        Transition(InstanceState.STOPPED, InstanceState.FINISH, "destroy"),
    ),
)


class Ec2Instances(OfSession, Instances):
    """Instances. Those that are terminated are gone, though AWS shows them for an hour more."""

    features: ClassVar[frozenset[str]] = frozenset(
        {
            "realm_filter",
            "state_filter",
            "tag_filter",
            "user_name",
            "user_data",
            "authentication_key",
            "firewalls",
            "register_to_load_balancer",
            "attach_snapshot",
            "metrics",
            "subnet",
            "tags",
            "volume_mappings",
            "spot",
            "open_metadata",
        }
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._sent = Sent()

    async def page(
        self, marker: str | None, limit: int, where: InstanceFilter = InstanceFilter()
    ) -> Page[Instance]:
        states = LIVE if where.state is None else NAMES.get(where.state)
        if states is None:
            return Page(())
        wanted = {
            "instance-state-name": states,
            "availability-zone": _literal(where.realm_id),
            **{f"tag:{key}": _literal(value) for key, value in where.tags.items()},
        }
        return await paged(fetch(self.session, wanted), marker, limit)

    async def get(self, id: str) -> Instance:
        return await find(self.session, id)

    async def create(self, new: NewInstance) -> Instance:
        return (await self._once(new, 1))[0]

    async def create_many(self, new: NewInstance, count: int) -> tuple[Instance, ...]:
        if not 1 <= count <= MOST_AT_ONCE:
            raise Invalid(f"1 to {MOST_AT_ONCE} instances can be made at once, not {count}")
        return await self._once(new, count)

    async def start(self, id: str) -> None:
        before = await self._moved("StartInstances", id)
        if before in {"running", "pending"}:
            raise Conflict(f"the instance {id!r} is {before} already")

    async def stop(self, id: str) -> None:
        before = await self._moved("StopInstances", id)
        if before in {"stopped", "stopping"}:
            raise Conflict(f"the instance {id!r} is {before} already")

    async def reboot(self, id: str) -> None:
        # AWS is content to reboot what is terminated.
        found = await self.get(id)
        if found.state is not InstanceState.RUNNING:
            raise Conflict(f"the instance {id!r} is {found.state}: it can't reboot now")
        await self._changed("RebootInstances", {"InstanceId": [id]}, id)

    async def resize(self, id: str, sizes: Sizes) -> Instance:
        """Give a stopped instance the type that differs from its own only in the asked sizes."""
        found = await self.get(id)
        if found.state is not InstanceState.STOPPED:
            raise Conflict(f"the instance {id!r} is {found.state}: only a stopped one is resized")
        now = found.hardware_profile_id or ""
        profile = (await profiles_of(self.session)).resized(now, sizes)
        if profile.id == now:
            return found
        asked = {"InstanceId": id, "InstanceType": {"Value": profile.id}}
        await self._changed("ModifyInstanceAttribute", asked, id)
        return await self.get(id)

    async def destroy(self, id: str) -> None:
        before = await self._moved("TerminateInstances", id)
        if before == "terminated":
            raise NotFound(f"there is no instance {id!r} any more")

    async def console(self, id: str) -> bytes:
        return await consoles.text_of(self.session, known(id, "instance"))

    async def screenshot(self, id: str) -> bytes:
        found = await self.get(id)
        if found.state is not InstanceState.RUNNING:
            raise Conflict(f"the instance {id!r} is {found.state}: it has no screen now")
        return await consoles.picture_of(self.session, id)

    async def _once(self, new: NewInstance, count: int) -> tuple[Instance, ...]:
        """Return the instances of a wish, which are made only once.

        AWS knows its client token. A look before is needed only when one was sent before, since
        what it made may meanwhile have moved on, and stand-ins forget tokens.
        """

        async def look() -> tuple[Instance, ...] | None:
            if new.token not in self._sent:
                return None
            return await self._made_by(new.token)

        async def make() -> tuple[Instance, ...]:
            asked = await launch.parameters(self.session, new, count)
            self._sent.add(new.token)
            return _instances(await self.session.ec2("RunInstances", asked, changes=True))

        if new.load_balancer_id is not None:
            await Ec2LoadBalancers(self.session).get(new.load_balancer_id)
        made = await once(self.session, f"instance {count}", new.token, look, make)
        for instance in made:
            self.session.fresh(instance.id)
        if len(made) != count:
            raise Conflict(f"the token was used before, for {len(made)} instances")
        if new.load_balancer_id is not None:
            await self._balance(new.load_balancer_id, made)
        return made

    async def _made_by(self, token: str | None) -> tuple[Instance, ...] | None:
        wanted = {**tags.by_token(token), "instance-state-name": LIVE}
        asked = {"Filter": filters(wanted)}
        return _instances(await self.session.ec2("DescribeInstances", asked), deep=True) or None

    async def _balance(self, id: str, made: tuple[Instance, ...]) -> None:
        """Register instances; those that the balancer does not take are not kept either."""
        balancers = Ec2LoadBalancers(self.session)
        try:
            for instance in made:
                await self._booted(instance.id)
                await balancers.register(id, instance.id)
        except (AwsError, CloudError) as error:
            if not isinstance(to_error(error) or error, PASSING):
                ids = [instance.id for instance in made]
                await self.session.ec2("TerminateInstances", {"InstanceId": ids}, changes=True)
            raise

    async def _booted(self, id: str) -> None:
        """Return as soon as an instance is not pending any more: balancers take none before."""
        pause_s = FIRST_PAUSE_S
        while (await self.get(id)).state is InstanceState.PENDING:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _moved(self, action: str, id: str) -> str | None:
        """Return the state in which an instance was before."""
        asked = {"InstanceId": [known(id, "instance")]}
        root = await self._changed(action, asked, id)
        return text(root, "instancesSet/item/previousState/name")

    async def _changed(self, action: str, asked: Mapping[str, Any], id: str) -> Element:
        async def call() -> Element:
            return await self.session.ec2(action, asked, changes=True)

        try:
            return await self.session.settled(call, codes=UNKNOWN)
        except AwsError as error:
            if error.code in WRONG_STATE:
                # NotFound says more of one that is terminated.
                await self.get(id)
            raise


def _instances(root: Element, *, deep: bool = False) -> tuple[Instance, ...]:
    reservations = items(root, "reservationSet/item") if deep else [root]
    return tuple(
        told(item, text(reservation, "ownerId"), extra(item))
        for reservation in reservations
        for item in items(reservation, "instancesSet/item")
    )


def _literal(value: str | None) -> str | None:
    r"""Return the text that a filter takes for itself alone: `*`, `?` and `\` mean more to it."""
    if value is None:
        return None
    return "".join(f"\\{letter}" if letter in "*?\\" else letter for letter in value)
