"""The client of a server: all accounts, one list over them, and the things in each."""

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from nimbi.client.account import AccountClient, SyncAccountClient
from nimbi.client.core import PATIENT, Blocking, Core, Looping
from nimbi.client.events import Events, SyncEvents
from nimbi.client.flow import Retries
from nimbi.client.health import (
    Alerts,
    Checks,
    Objectives,
    Silences,
    SyncAlerts,
    SyncChecks,
    SyncObjectives,
    SyncSilences,
)
from nimbi.client.jobs import Jobs, Schedules, SyncJobs, SyncSchedules
from nimbi.client.listings import Lists, SyncLists
from nimbi.client.money import (
    Bills,
    Budgets,
    Prices,
    SyncBills,
    SyncBudgets,
    SyncPrices,
    SyncUsage,
    Usage,
)
from nimbi.client.people import (
    Domains,
    Grants,
    Groups,
    Lends,
    Projects,
    Roles,
    SyncDomains,
    SyncGrants,
    SyncGroups,
    SyncLends,
    SyncProjects,
    SyncRoles,
    SyncUsers,
    Users,
)
from nimbi.client.quotas import (
    Holdings,
    Limits,
    SyncHoldings,
    SyncLimits,
    SyncTenantQuotas,
    TenantQuotas,
)
from nimbi.client.resources import (
    Accounts,
    Drivers,
    Orphans,
    SyncAccounts,
    SyncDrivers,
    SyncOrphans,
    SyncTokens,
    SyncWebhooks,
    Tokens,
    Webhooks,
)
from nimbi.client.transport import AsyncTransport, Transport
from nimbi.model.addresses import Address
from nimbi.model.buckets import Bucket
from nimbi.model.errors import Invalid
from nimbi.model.firewalls import Firewall
from nimbi.model.hardware_profiles import HardwareProfile
from nimbi.model.images import Image
from nimbi.model.instances import Instance
from nimbi.model.keys import Key
from nimbi.model.load_balancers import LoadBalancer
from nimbi.model.metrics import Metric
from nimbi.model.networks import Network, NetworkInterface, Subnet
from nimbi.model.quotas import Quota
from nimbi.model.realms import Realm
from nimbi.model.routers import Router
from nimbi.model.snapshots import Snapshot
from nimbi.model.volumes import Volume

if TYPE_CHECKING:
    from ssl import SSLContext

T = TypeVar("T")

SERVER = "http://127.0.0.1:3001"


class _Everywhere(Generic[T]):
    """Descriptor of a collection over all accounts."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, client: "Client", owner: object = None) -> Lists[T]:
        return Lists(self._name, client.core, client.transport)


class _SyncEverywhere(Generic[T]):
    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, client: "SyncClient", owner: object = None) -> SyncLists[T]:
        return SyncLists(self._name, client.core, client.transport)


def _place(url: str | None, token: str | None) -> tuple[str, str | None]:
    """Return server and token, those of the environment where none are told. Raises Invalid."""
    url = url or os.environ.get("NIMBI_SERVER") or SERVER
    token = token or os.environ.get("NIMBI_TOKEN")
    file = os.environ.get("NIMBI_TOKEN_FILE")
    if token is None and file is not None:
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"the token in {file} cannot be read") from error
    return url, token


class Client(Looping):
    """A server's API, for callers in an event loop: `async with Client(url, token) as client`.

    Without `url` and `token` it is NIMBI_SERVER with NIMBI_TOKEN, or with what is in the file
    NIMBI_TOKEN_FILE. `transport` is another way there, such as an app in this process. Requests
    whose answers are lost are repeated, and what they make is made once.
    """

    realms = _Everywhere[Realm]()
    hardware_profiles = _Everywhere[HardwareProfile]()
    images = _Everywhere[Image]()
    instances = _Everywhere[Instance]()
    keys = _Everywhere[Key]()
    firewalls = _Everywhere[Firewall]()
    addresses = _Everywhere[Address]()
    networks = _Everywhere[Network]()
    subnets = _Everywhere[Subnet]()
    routers = _Everywhere[Router]()
    network_interfaces = _Everywhere[NetworkInterface]()
    load_balancers = _Everywhere[LoadBalancer]()
    volumes = _Everywhere[Volume]()
    snapshots = _Everywhere[Snapshot]()
    buckets = _Everywhere[Bucket]()
    metrics = _Everywhere[Metric]()
    quotas = _Everywhere[Quota]()

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        transport: AsyncTransport | None = None,
        tls: "SSLContext | None" = None,
        retries: Retries = PATIENT,
        timeout_s: float = 60.0,
    ) -> None:
        if transport is None:
            from nimbi.client.async_http import AsyncHttpTransport

            url, token = _place(url, token)
            transport = AsyncHttpTransport(url, tls=tls)
        super().__init__(Core(token, retries, timeout_s), transport)
        self.accounts = Accounts(self.core, transport)
        self.tokens = Tokens(self.core, transport)
        self.webhooks = Webhooks(self.core, transport)
        self.orphans = Orphans(self.core, transport)
        self.jobs = Jobs(self.core, transport)
        self.schedules = Schedules(self.core, transport)
        self.drivers = Drivers(self.core, transport)
        self.users = Users(self.core, transport)
        self.groups = Groups(self.core, transport)
        self.domains = Domains(self.core, transport)
        self.projects = Projects(self.core, transport)
        self.roles = Roles(self.core, transport)
        self.grants = Grants(self.core, transport)
        self.lends = Lends(self.core, transport)
        self.tenant_quotas = TenantQuotas(self.core, transport)
        self.limits = Limits(self.core, transport)
        self.holdings = Holdings(self.core, transport)
        self.usage = Usage(self.core, transport)
        self.prices = Prices(self.core, transport)
        self.bills = Bills(self.core, transport)
        self.budgets = Budgets(self.core, transport)
        self.checks = Checks(self.core, transport)
        self.objectives = Objectives(self.core, transport)
        self.alerts = Alerts(self.core, transport)
        self.silences = Silences(self.core, transport)
        self.events = Events(self.core, transport)

    def account(self, id: str) -> AccountClient:
        """Return one account, asking nobody: `client.account("aws").instances.get("i-1")`."""
        return AccountClient(id, self.core, self.transport)

    async def aclose(self) -> None:
        """End all connections; may be called again."""
        await self.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class SyncClient(Blocking):
    """A server's API, for blocking callers: as Client, without `await`; several threads may use it.

    `with SyncClient(url, token) as client`.
    """

    realms = _SyncEverywhere[Realm]()
    hardware_profiles = _SyncEverywhere[HardwareProfile]()
    images = _SyncEverywhere[Image]()
    instances = _SyncEverywhere[Instance]()
    keys = _SyncEverywhere[Key]()
    firewalls = _SyncEverywhere[Firewall]()
    addresses = _SyncEverywhere[Address]()
    networks = _SyncEverywhere[Network]()
    subnets = _SyncEverywhere[Subnet]()
    routers = _SyncEverywhere[Router]()
    network_interfaces = _SyncEverywhere[NetworkInterface]()
    load_balancers = _SyncEverywhere[LoadBalancer]()
    volumes = _SyncEverywhere[Volume]()
    snapshots = _SyncEverywhere[Snapshot]()
    buckets = _SyncEverywhere[Bucket]()
    metrics = _SyncEverywhere[Metric]()
    quotas = _SyncEverywhere[Quota]()

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        transport: Transport | None = None,
        tls: "SSLContext | None" = None,
        retries: Retries = PATIENT,
        timeout_s: float = 60.0,
    ) -> None:
        if transport is None:
            from nimbi.client.http import HttpTransport

            url, token = _place(url, token)
            transport = HttpTransport(url, tls=tls)
        super().__init__(Core(token, retries, timeout_s), transport)
        self.accounts = SyncAccounts(self.core, transport)
        self.tokens = SyncTokens(self.core, transport)
        self.webhooks = SyncWebhooks(self.core, transport)
        self.orphans = SyncOrphans(self.core, transport)
        self.jobs = SyncJobs(self.core, transport)
        self.schedules = SyncSchedules(self.core, transport)
        self.drivers = SyncDrivers(self.core, transport)
        self.users = SyncUsers(self.core, transport)
        self.groups = SyncGroups(self.core, transport)
        self.domains = SyncDomains(self.core, transport)
        self.projects = SyncProjects(self.core, transport)
        self.roles = SyncRoles(self.core, transport)
        self.grants = SyncGrants(self.core, transport)
        self.lends = SyncLends(self.core, transport)
        self.tenant_quotas = SyncTenantQuotas(self.core, transport)
        self.limits = SyncLimits(self.core, transport)
        self.holdings = SyncHoldings(self.core, transport)
        self.usage = SyncUsage(self.core, transport)
        self.prices = SyncPrices(self.core, transport)
        self.bills = SyncBills(self.core, transport)
        self.budgets = SyncBudgets(self.core, transport)
        self.checks = SyncChecks(self.core, transport)
        self.objectives = SyncObjectives(self.core, transport)
        self.alerts = SyncAlerts(self.core, transport)
        self.silences = SyncSilences(self.core, transport)
        self.events = SyncEvents(self.core, transport)

    def account(self, id: str) -> SyncAccountClient:
        """Return one account, asking nobody: `client.account("aws").instances.get("i-1")`."""
        return SyncAccountClient(id, self.core, self.transport)

    def close(self) -> None:
        """End all connections; may be called again."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()
