"""One login to one cloud: every operation, checked, repeated and timed in the same way."""

import asyncio
import copy
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from collections.abc import Collection as AnyOf
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.capabilities import BY_ID, Function, supported
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys, Metrics, Quotas, Realms
from nimbi.driver.interface import Driver
from nimbi.driver.network import (
    Addresses,
    Firewalls,
    LoadBalancers,
    NetworkInterfaces,
    Networks,
    Routers,
    Subnets,
)
from nimbi.driver.operation import Collection
from nimbi.driver.states import StateMachine
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.gateway import pages, rehearsal, wait
from nimbi.gateway.audit import Audit, Login, Tries
from nimbi.gateway.bound import Bound
from nimbi.gateway.errors import to_cloud_error
from nimbi.gateway.limits import DEFAULT_LIMITS, Limits
from nimbi.gateway.refusal import check_numbers, completed
from nimbi.gateway.retry import Repeater, Rule
from nimbi.gateway.shape import Shape, shape_of
from nimbi.gateway.streams import Both, Downward, Upward
from nimbi.model.buckets import BlobContent, BlobFilter
from nimbi.model.errors import CloudError, Forbidden, Invalid, Unauthorized, Unsupported
from nimbi.model.images import ImageContent
from nimbi.model.instances import Instance
from nimbi.model.page import Page

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound=wait.Stateful)

# The first of these that a cloud supports shows whether a login is right: lists that belong to the
# login come first, since some clouds show realms to anyone.
NEED_LOGIN: tuple[Function, ...] = (
    Instances.page,
    Volumes.page,
    Buckets.page,
    Keys.page,
    Networks.page,
    Firewalls.page,
    Addresses.page,
    LoadBalancers.page,
    Images.page,
    Realms.page,
)


@dataclass(frozen=True, slots=True)
class _Step:
    """An operation, ready to be called on one session."""

    shape: Shape
    rule: Rule
    method: Callable[..., Coroutine[Any, Any, Any]]
    features: frozenset[str]
    deadline_s: float


class Cloud:
    """A login to one cloud.

    `operations` are the ids of what this login can do: `instances.start`; `lacks` those that the
    driver has and this login has not. `notes` are for people, `entrypoints` tell its providers,
    `instance_states` what may be done with instances in which state.
    Each collection is an attribute of its interface's type; `cloud.instances.create(new)` is the
    same call as `cloud.call(Instances.create, new)`. All calls raise CloudErrors and nothing else.
    """

    realms = Bound(Realms)
    hardware_profiles = Bound(HardwareProfiles)
    images = Bound(Images)
    instances = Bound(Instances)
    keys = Bound(Keys)
    firewalls = Bound(Firewalls)
    addresses = Bound(Addresses)
    networks = Bound(Networks)
    subnets = Bound(Subnets)
    routers = Bound(Routers)
    network_interfaces = Bound(NetworkInterfaces)
    load_balancers = Bound(LoadBalancers)
    volumes = Bound(Volumes)
    snapshots = Bound(Snapshots)
    buckets = Bound(Buckets)
    blobs = Bound(Blobs)
    metrics = Bound(Metrics)
    quotas = Bound(Quotas)

    def __init__(
        self,
        driver: Driver[Any, Any],
        collections: Mapping[str, Collection],
        *,
        operations: frozenset[str] | None = None,
        notes: Mapping[str, str] | None = None,
        providers: dict[str, dict[str, str]] | None = None,
        states: StateMachine | None = None,
        provider: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        audit: Audit | None = None,
        session: str = "",
        on_unauthorized: Callable[[], None] | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        """Take the driver's collections for one session, by the names of their interfaces.

        `operations` are those that the driver supports, when they are known already; `notes`,
        `providers` and `states` are what the driver tells of this session.
        """
        self.driver = driver
        self.instance_states = states or driver.instance_states
        self.notes = notes or {}
        self.entrypoints = {**driver.entrypoints, **(providers or {})}
        self.provider = provider
        of_driver = supported(driver) if operations is None else operations
        self.operations = frozenset(
            id for id in of_driver if BY_ID[id].interface.name in collections
        )
        self.lacks = frozenset(of_driver - self.operations)
        self._collections = collections
        self._limits = limits
        self._audit = audit
        self._login = Login(driver.name, provider, session)
        self._on_unauthorized = on_unauthorized
        self._repeater = Repeater(limits, self._error, random)
        self._deadline_s: float | None = None
        self._steps: dict[Function, _Step] = {}
        self._allowed: dict[tuple[object, ...], tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return f"Cloud({self.driver.name!r}, provider={self.provider!r})"

    def features(self, interface: type[Collection]) -> frozenset[str]:
        """Return the names of the optional request fields that a collection honours."""
        collection = self._collections.get(interface.name)
        return collection.features if collection is not None else frozenset()

    def supports(self, operation: Callable[..., Awaitable[Any]]) -> bool:
        """Return whether this login can do an operation, such as `Instances.start`."""
        return shape_of(operation).id in self.operations

    def instance_operations(self, instance: Instance) -> tuple[str, ...]:
        """Return what can be done with an instance in its state, in the state machine's order.

        `("reboot", "stop")`; what the cloud does not support is left out.
        """
        # Lists have many instances, and all but few are as their state says.
        seen = (instance.state, instance.locked, instance.rescued, instance.shelved)
        allowed = self._allowed.get(seen)
        if allowed is None:
            allowed = self._allowed[seen] = tuple(
                name
                for name in self.instance_states.operations_on(instance)
                if f"instances.{name}" in self.operations
            )
        return allowed

    def within(self, seconds: float) -> "Cloud":
        """Return the same login with another deadline: `cloud.within(5).instances.get(id)`."""
        other = copy.copy(self)
        other._deadline_s = seconds  # noqa: SLF001  it is of this very class
        return other

    async def call(
        self,
        operation: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return the answer to one operation: `await cloud.call(Instances.get, "i-1")`.

        Raises Unsupported, before any traffic, for what the cloud cannot do or honour; Timeout
        when the deadline passes. Tries again after a passing fault when that can do no harm.
        """
        step = self._steps.get(operation) or self._bind(operation)
        shape = step.shape
        given, named = self._checked(step, args, kwargs)
        tries = Tries(asyncio.get_running_loop().time())
        answer = self._perform(step, given, named, tries)
        if self._audit is not None:
            answer = self._audit.observe(answer, tries, operation=shape.id, whose=self._login)
        found: T = await answer
        return found

    async def rehearse(
        self,
        operation: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Raise what `call` with the same arguments would, as far as reading can tell.

        Nothing is changed. That it returns is no promise: only the cloud knows its room.
        """
        step = self._steps.get(operation) or self._bind(operation)
        given, named = self._checked(step, args, kwargs)
        await rehearsal.rehearse(self, operation, given, named)

    def each(
        self,
        operation: Callable[..., Awaitable[Page[T]]],
        *args: Any,
        limit: int = 1000,
        where: msgspec.Struct | None = None,
    ) -> AsyncIterator[T]:
        """Yield all items of a list, page by page: `cloud.each(Blobs.page, "bucket1")`.

        `args` are those before the marker, `limit` is the size of a page. The order and the items
        are the cloud's; the list is whole, or an error is raised. Raises Invalid for a list of
        blobs by delimiter, which has more than items: that is read page by page.
        """
        if isinstance(where, BlobFilter) and where.delimiter:
            raise Invalid("a list by delimiter has prefixes beside its blobs: read it by pages")
        named = {} if where is None else {"where": where}

        async def fetch(marker: str | None) -> Page[T]:
            return await self.call(operation, *args, marker, limit, **named)

        return pages.items(fetch, f"{self.driver.name}: {shape_of(operation).id}")

    async def wait(
        self,
        operation: Callable[..., Awaitable[S]],
        *args: Any,
        until: AnyOf[StrEnum],
        failing: AnyOf[StrEnum] = (),
        timeout_s: float = 300.0,
    ) -> S:
        """Return a thing as soon as its state is one of `until`.

        `await cloud.wait(Instances.get, id, until={InstanceState.RUNNING})`. Raises CloudError when
        the state is one of `failing`, Timeout after `timeout_s`, NotFound when the thing is gone;
        one that was made just now may be unknown for some seconds.
        """
        what = f"{shape_of(operation).interface} {' '.join(map(str, args))}"
        return await wait.until_state(
            lambda: self.call(operation, *args), what, until, failing, timeout_s
        )

    async def wait_gone(
        self, operation: Callable[..., Awaitable[S]], *args: Any, timeout_s: float = 300.0
    ) -> None:
        """Return when a thing is not found any more. Raises Timeout after `timeout_s`."""
        what = f"{shape_of(operation).interface} {' '.join(map(str, args))}"
        await wait.until_gone(lambda: self.call(operation, *args), what, timeout_s)

    async def verify(self) -> None:
        """Ask the cloud whether the credentials are right. Raises Unauthorized when not."""
        for operation in NEED_LOGIN:
            if self.supports(operation):
                # A login that may not see a list is a login all the same.
                with suppress(Forbidden):
                    await self.call(operation, None, 1)
                return

    def _checked(
        self, step: _Step, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments as the driver gets them. Raises Unsupported, Invalid."""
        shape = step.shape
        if shape.numbers:
            check_numbers(shape, args, named)
        if shape.requests:
            return completed(shape, self.driver.name, step.features, args, named)
        return args, named

    def _bind(self, operation: Function) -> _Step:
        shape = shape_of(operation)
        if shape.id not in self.operations:
            raise Unsupported(f"{self.driver.name} does not support {shape.id}", shape.id)
        collection = self._collections[shape.interface]
        late = f"{self.driver.name} gave no answer to {shape.id} in time"
        if shape.changes:
            late += "; it may have been carried out"
        step = self._steps[operation] = _Step(
            shape=shape,
            rule=Rule(shape.repeated_after, late, shape.leaves_nothing, shape.makes),
            method=getattr(collection, shape.name),
            features=collection.features,
            deadline_s=self._limits.deadline(shape.id),
        )
        return step

    async def _perform(
        self, step: _Step, args: tuple[Any, ...], named: dict[str, Any], tries: Tries
    ) -> Any:
        deadline_s = self._deadline_s or step.deadline_s
        if step.shape.chunks is not None:
            tries.count = 1
            idle_s = self._limits.idle_s
            up = Upward(idle_s, deadline_s, step.rule.late, self._error)
            return await up.carry(step.method, step.shape.chunks, args, named)
        until = tries.began + deadline_s
        answer = await self._repeater.run(step.method, args, named, step.rule, until, tries)
        if isinstance(answer, (BlobContent, ImageContent)):
            down = Downward(answer.chunks, self._limits.idle_s, step.rule.late, self._error)
            if isinstance(answer, ImageContent):
                return replace(answer, chunks=down)
            answer = replace(answer, chunks=down)
            if isinstance(answer, BlobContent) and answer.socket is not None:
                # Who has the kernel pass the bytes on keeps to the same limit.
                socket = replace(answer.socket, idle_s=self._limits.idle_s)
                answer = replace(answer, socket=socket)
            return answer
        if step.shape.opens:
            return Both(answer, self._limits.idle_s, step.rule.late, self._error)
        return answer

    def _error(self, raised: Exception) -> CloudError:
        error = to_cloud_error(self.driver, raised)
        if isinstance(error, Unauthorized) and self._on_unauthorized is not None:
            self._on_unauthorized()
        return error
