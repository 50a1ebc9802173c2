"""The things in one account: each operation of each collection, as the interfaces type them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast

from nimbi.api.routes import ROUTES, ApiRoute
from nimbi.client.answers import value_of
from nimbi.client.contents import Chunks, SyncContent, facts_of
from nimbi.client.core import Blocking, Core, Looping
from nimbi.client.flow import Flow, Received
from nimbi.client.requests import NO_WISHES, Wishes, bound, request_of
from nimbi.client.running import arun, run
from nimbi.client.transport import Answer, AsyncAnswer, AsyncTransport, Transport
from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.capabilities import OPERATIONS
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys, Metrics, Quotas, Realms
from nimbi.driver.consoles import ConsoleStream
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
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.model.buckets import BlobContent
from nimbi.model.errors import Unsupported
from nimbi.model.images import ImageContent
from nimbi.model.page import Page

if TYPE_CHECKING:
    from nimbi.client import blocking
    from nimbi.client.consoles import ConsoleTicket

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")

# What one request of a whole list asks for.
PAGE = 1000


class Bound(Generic[C]):
    """Descriptor of a collection, typed as told; each operation is a `call` of the same."""

    def __init__(self, interface: type[Collection]) -> None:
        self._interface = interface

    def __get__(self, account: "_Account", owner: object = None) -> C:
        return cast("C", _Calls(account, self._interface))


class _Calls:
    def __init__(self, account: "_Account", interface: type[Collection]) -> None:
        self._account = account
        self._interface = interface
        self.name = interface.name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        route = ROUTES.get(f"{self._interface.name}.{name}")
        if route is None:
            raise AttributeError(f"{self._interface.name} has no operation {name!r}")
        return partial(self._account.call, route.operation.function)


class _Account:
    """What both ways of calling have: the account's name, and what is wished of its calls."""

    core: Core
    call: Callable[..., Any]

    def _set(self, id: str, wishes: Wishes) -> None:
        self.id = id
        self.wishes = wishes

    def _flow(
        self, operation: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any]
    ) -> tuple[ApiRoute, dict[str, Any], Flow[Received]]:
        route = route_of(operation)
        arguments = bound(route, args, named)
        request = request_of(route, self.id, arguments, self.wishes)
        return route, arguments, self.core.ask(request, open=route.answer == "stream")

    def _rehearsal(
        self, operation: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any]
    ) -> Flow[Received]:
        route = route_of(operation)
        arguments = bound(route, args, named)
        return self.core.ask(request_of(route, self.id, arguments, self.wishes, dry_run=True))


def route_of(operation: Callable[..., Any]) -> ApiRoute:
    """Return the route of an interface's operation. Raises TypeError for anything else."""
    found = OPERATIONS.get(operation)
    if found is None:
        raise TypeError(f"{operation!r} is no operation of an interface in nimbi.driver")
    return ROUTES[found.id]


def _wished(
    old: Wishes,
    wait_s: float | None,
    deadline_s: float | None,
    key: str | None,
) -> Wishes:
    told = {"wait_s": wait_s, "deadline_s": deadline_s, "key": key}
    return replace(old, **{name: value for name, value in told.items() if value is not None})  # type: ignore[arg-type]


def _list_arguments(
    operation: Callable[..., Any], marker: str | None, limit: int, where: Any
) -> dict[str, Any]:
    route_of(operation)
    told = {"marker": marker, "limit": limit}
    return told if where is None else {**told, "where": where}


class AccountClient(_Account, Looping):
    """One account, for callers in an event loop; its calls are those of a `Cloud`.

    Raises CloudErrors: those of the cloud, and those of the way to the server.
    """

    realms = Bound[Realms](Realms)
    hardware_profiles = Bound[HardwareProfiles](HardwareProfiles)
    images = Bound[Images](Images)
    instances = Bound[Instances](Instances)
    keys = Bound[Keys](Keys)
    firewalls = Bound[Firewalls](Firewalls)
    addresses = Bound[Addresses](Addresses)
    networks = Bound[Networks](Networks)
    subnets = Bound[Subnets](Subnets)
    routers = Bound[Routers](Routers)
    network_interfaces = Bound[NetworkInterfaces](NetworkInterfaces)
    load_balancers = Bound[LoadBalancers](LoadBalancers)
    volumes = Bound[Volumes](Volumes)
    snapshots = Bound[Snapshots](Snapshots)
    buckets = Bound[Buckets](Buckets)
    blobs = Bound[Blobs](Blobs)
    metrics = Bound[Metrics](Metrics)
    quotas = Bound[Quotas](Quotas)

    def __init__(
        self, id: str, core: Core, transport: AsyncTransport, wishes: Wishes = NO_WISHES
    ) -> None:
        super().__init__(core, transport)
        self._set(id, wishes)

    def asking(
        self,
        *,
        wait_s: float | None = None,
        deadline_s: float | None = None,
        key: str | None = None,
    ) -> Self:
        """Return the same account, whose calls wish for more.

        `wait_s` waits so long for a thing's state to settle, and returns it as it is then.
        `deadline_s` is how long a call may take. `key` is the Idempotency-Key of one call: the same
        key again gives the answer of before.
        """
        wishes = _wished(self.wishes, wait_s, deadline_s, key)
        return type(self)(self.id, self.core, self.transport, wishes)

    async def call(
        self,
        operation: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        """Call an operation: `await account.call(Instances.start, "i-1")`."""
        route, arguments, flow = self._flow(operation, args, named)
        received = await arun(flow, self.transport)
        if route.answer == "stream":
            return cast("T", _content(received, arguments))
        if route.answer == "console":
            return cast("T", await self._console(value_of(route, received)))
        return cast("T", value_of(route, received))

    async def _console(self, ticket: "ConsoleTicket") -> ConsoleStream:
        from nimbi.client.async_http import AsyncHttpTransport

        if not isinstance(self.transport, AsyncHttpTransport):
            raise Unsupported("consoles open over HTTP only", "instances.open_console")
        return await self.transport.console(ticket)

    async def rehearse(
        self, operation: Callable[Concatenate[Any, P], Any], *args: P.args, **named: P.kwargs
    ) -> None:
        """Check a call short of acting. Raises what the call would raise, as far as told."""
        await arun(self._rehearsal(operation, args, named), self.transport)

    async def each(
        self, operation: Callable[..., Awaitable[Page[T]]], *args: Any, where: Any = None
    ) -> AsyncIterator[T]:
        """Yield all of a list, page after page: `account.each(Instances.page)`.

        `args` are those before the marker: `account.each(Blobs.page, "bucket")`.
        """
        marker: str | None = None
        while True:
            told = _list_arguments(operation, marker, PAGE, where)
            page: Page[T] = await self.call(operation, *args, **told)
            for item in page.items:
                yield item
            marker = page.next
            if marker is None:
                return


class SyncAccountClient(_Account, Blocking):
    """One account, for blocking callers: as AccountClient, without `await`."""

    realms: "Bound[blocking.Realms]" = Bound(Realms)
    hardware_profiles: "Bound[blocking.HardwareProfiles]" = Bound(HardwareProfiles)
    images: "Bound[blocking.Images]" = Bound(Images)
    instances: "Bound[blocking.Instances]" = Bound(Instances)
    keys: "Bound[blocking.Keys]" = Bound(Keys)
    firewalls: "Bound[blocking.Firewalls]" = Bound(Firewalls)
    addresses: "Bound[blocking.Addresses]" = Bound(Addresses)
    networks: "Bound[blocking.Networks]" = Bound(Networks)
    subnets: "Bound[blocking.Subnets]" = Bound(Subnets)
    routers: "Bound[blocking.Routers]" = Bound(Routers)
    network_interfaces: "Bound[blocking.NetworkInterfaces]" = Bound(NetworkInterfaces)
    load_balancers: "Bound[blocking.LoadBalancers]" = Bound(LoadBalancers)
    volumes: "Bound[blocking.Volumes]" = Bound(Volumes)
    snapshots: "Bound[blocking.Snapshots]" = Bound(Snapshots)
    buckets: "Bound[blocking.Buckets]" = Bound(Buckets)
    blobs: "Bound[blocking.Blobs]" = Bound(Blobs)
    metrics: "Bound[blocking.Metrics]" = Bound(Metrics)
    quotas: "Bound[blocking.Quotas]" = Bound(Quotas)

    def __init__(
        self, id: str, core: Core, transport: Transport, wishes: Wishes = NO_WISHES
    ) -> None:
        super().__init__(core, transport)
        self._set(id, wishes)

    def asking(
        self,
        *,
        wait_s: float | None = None,
        deadline_s: float | None = None,
        key: str | None = None,
    ) -> Self:
        """Return the same account, whose calls wish for more: as AccountClient.asking."""
        wishes = _wished(self.wishes, wait_s, deadline_s, key)
        return type(self)(self.id, self.core, self.transport, wishes)

    def call(
        self,
        operation: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        """Call an operation: `account.call(Instances.start, "i-1")`.

        What is streamed is a SyncContent, and is taken from bytes, chunks or an open file. Of a
        console this gives the address.
        """
        route, arguments, flow = self._flow(operation, args, named)
        received = run(flow, self.transport)
        if route.answer != "stream":
            return cast("T", value_of(route, received))
        facts = facts_of(received, arguments)
        return cast("T", SyncContent(facts, cast("Answer", received.open)))

    def rehearse(
        self, operation: Callable[Concatenate[Any, P], Any], *args: P.args, **named: P.kwargs
    ) -> None:
        """Check all of a call short of acting, as AccountClient.rehearse."""
        run(self._rehearsal(operation, args, named), self.transport)

    def each(
        self, operation: Callable[..., Awaitable[Page[T]]], *args: Any, where: Any = None
    ) -> Iterator[T]:
        """Yield all of a list, page after page, as AccountClient.each."""
        marker: str | None = None
        while True:
            told = _list_arguments(operation, marker, PAGE, where)
            page: Page[T] = self.call(operation, *args, **told)
            yield from page.items
            marker = page.next
            if marker is None:
                return


def _content(received: Received, arguments: Mapping[str, Any]) -> BlobContent | ImageContent:
    facts = facts_of(received, arguments)
    chunks = Chunks(cast("AsyncAnswer", received.open))
    if facts.blob is None:
        return ImageContent(facts.size_bytes, chunks)
    return BlobContent(facts.blob, facts.first, facts.last, chunks)
