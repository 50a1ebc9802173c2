"""All parts of the broker, opened and closed together."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path

from nimbi.broker.access import Caller
from nimbi.broker.accounts import Accounts
from nimbi.broker.audit import AGE as AUDIT_AGE
from nimbi.broker.audit import Audit
from nimbi.broker.calls import AccountUse, Ground
from nimbi.broker.dependants import dependants
from nimbi.broker.destinations import Destinations
from nimbi.broker.events import Events
from nimbi.broker.health.health import Health
from nimbi.broker.health.mail import MailServer
from nimbi.broker.housekeeping import kept
from nimbi.broker.inventory.inventory import Inventory
from nimbi.broker.job_audit import JobAudit
from nimbi.broker.limits import Limits
from nimbi.broker.metering.measures import Measures
from nimbi.broker.metering.metering import Metering
from nimbi.broker.openid.provider import OpenIdOptions, Provider
from nimbi.broker.openid.sign_ins import SignIns
from nimbi.broker.orphans import Orphans
from nimbi.broker.people import People
from nimbi.broker.quotas import Quotas
from nimbi.broker.rights.rights import Rights
from nimbi.broker.sizing import Sizing
from nimbi.broker.visibility import Visibility
from nimbi.broker.webhooks import Webhooks
from nimbi.broker.work import Schedules, WorkGround, kinds
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.jobs import Jobs
from nimbi.store.accounts import AccountStore
from nimbi.store.answers import AnswerStore
from nimbi.store.audit import AuditStore
from nimbi.store.database import Database, open_database
from nimbi.store.events import EventStore
from nimbi.store.holdings import HoldingStore
from nimbi.store.intents import IntentStore
from nimbi.store.inventory import InventoryStore
from nimbi.store.jobs import JobStore
from nimbi.store.keys import ensure_key_file, key_source
from nimbi.store.leases import LeaseStore
from nimbi.store.limits import LimitStore
from nimbi.store.resealing import reseal
from nimbi.store.schedules import ScheduleStore
from nimbi.store.sealing import Keyring
from nimbi.store.sign_ins import SignInStore
from nimbi.store.users import GroupStore, UserStore
from nimbi.store.webhooks import WebhookStore

MARKERS = b"nimbi markers"
SIGN_INS = b"nimbi sign-ins"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the operator says of the broker.

    `database` is a URL as `store.database` takes it. The keys are those that `key_command` prints,
    or of NIMBI_KEY in `environment`, or of `key_file`, which is made when nothing else is there.
    """

    database: str
    key_file: Path
    key_command: str | None = None
    environment: Mapping[str, str]
    private_endpoints: bool = False
    polls: bool = True
    mail: MailServer | None = None
    openid: OpenIdOptions | None = None
    audit_age: timedelta | None = AUDIT_AGE

    def __repr__(self) -> str:
        return "Options(…)"


@dataclass(frozen=True, kw_only=True)
class Broker:
    """What the front ends work with. `holder` names this process among those of the database."""

    database: Database
    keyring: Keyring
    clouds: Clouds
    registry: Registry
    destinations: Destinations
    accounts: Accounts
    people: People
    rights: Rights
    visibility: Visibility
    audit: Audit
    sign_ins: SignIns | None
    inventory: Inventory
    quotas: Quotas
    limits: Limits
    events: Events
    webhooks: Webhooks
    orphans: Orphans
    metering: Metering
    jobs: Jobs
    schedules: Schedules
    health: Health
    answers: AnswerStore
    intents: IntentStore
    leases: LeaseStore
    holder: str
    ground: Ground

    def __repr__(self) -> str:
        return f"Broker({self.holder!r})"

    def use(self, caller: Caller, account: str) -> AbstractAsyncContextManager[Cloud]:
        """Return an account's cloud to use in `async with`, which does what the caller may.

        A call of anything else raises Forbidden. Calls count as interactive, what they change is in
        the inventory at once, and what they make is never made without a trace: see
        `calls.AccountCloud`. Raises what `Accounts.use` does.
        """
        return AccountUse(self.ground, caller, account)

    async def reseal(self) -> int:
        """Seal all that is stored by the operator's current key; return how many were not yet.

        The keys are read anew first. Raises SealError.
        """
        await self.keyring.refresh()
        return await reseal(self.database, self.keyring)


@asynccontextmanager
async def open_broker(
    options: Options, clouds: Clouds, registry: Registry
) -> AsyncIterator[Broker]:
    """Give the broker until the block ends; its background work with it, when `options.polls`.

    Raises StoreError for a key or a database that cannot be used.
    """
    keyring = await _keys(options)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(options.database))
        broker = assembled(
            database,
            keyring,
            clouds,
            registry,
            private=options.private_endpoints,
            mail=options.mail,
            openid=options.openid,
        )
        stack.push_async_callback(broker.inventory.aclose)
        if options.polls:
            await stack.enter_async_context(broker.inventory.polling())
            await stack.enter_async_context(broker.webhooks.delivering())
            await stack.enter_async_context(broker.metering.running())
            await stack.enter_async_context(broker.jobs.running())
            await stack.enter_async_context(broker.schedules.firing())
            await stack.enter_async_context(broker.health.watching())
        await stack.enter_async_context(kept(broker, options.audit_age))
        yield broker


def assembled(
    database: Database,
    keyring: Keyring,
    clouds: Clouds,
    registry: Registry,
    *,
    private: bool,
    mail: MailServer | None = None,
    openid: OpenIdOptions | None = None,
) -> Broker:
    """Return the broker over an open database; nothing runs in the background."""
    holder = secrets.token_hex(8)
    destinations = Destinations(private=private)
    events, things = EventStore(database), InventoryStore(database)
    intents, leases, hooks = IntentStore(database), LeaseStore(database), WebhookStore(database)

    accounts = Accounts(
        AccountStore(database),
        keyring,
        clouds,
        registry,
        destinations,
        dependants(database),
    )
    audit = Audit(AuditStore(database))
    rights = Rights.over(database)
    told = Events(events)
    holdings = HoldingStore(database)
    metering = Metering(database, leases, Measures(accounts, registry), holder=holder)
    sizing = Sizing(things, metering.prices)
    quotas = Quotas(database, holdings, things, sizing, accounts)
    limits = Limits(LimitStore(database), metering.budgets)
    inventory = Inventory(
        accounts,
        things,
        leases,
        intents,
        registry,
        key=_marker_key(keyring),
        holder=holder,
        on_news=told.look,
        on_list=quotas.looked,
    )
    ground = Ground(
        accounts=accounts,
        clouds=clouds,
        database=database,
        intents=intents,
        holdings=holdings,
        limits=limits,
        sizing=sizing,
        audit=audit,
        inventory=inventory,
        holder=holder,
    )
    jobs = Jobs(
        JobStore(database, keyring, JobAudit(audit)),
        leases,
        database.place,
        holder=holder,
    )
    schedules = Schedules(ScheduleStore(database), keyring, jobs)
    working = WorkGround(
        calls=ground, people=rights.people, inventory=inventory, reach=destinations.reach
    )
    health = Health(database, ground, destinations, jobs, mail, holder=holder)
    jobs.add(*kinds(working, schedules, health))
    return Broker(
        database=database,
        keyring=keyring,
        clouds=clouds,
        registry=registry,
        destinations=destinations,
        accounts=accounts,
        people=rights.people,
        rights=rights,
        audit=audit,
        sign_ins=_sign_ins(openid, database, destinations, rights, audit, keyring),
        inventory=inventory,
        quotas=quotas,
        limits=limits,
        events=told,
        visibility=rights.visibility,
        webhooks=Webhooks(
            hooks,
            events,
            accounts,
            keyring,
            destinations,
            holder=holder,
            shown=rights.told,
        ),
        orphans=Orphans(accounts, intents, things, inventory, holdings, holder=holder),
        metering=metering,
        jobs=jobs,
        schedules=schedules,
        health=health,
        answers=AnswerStore(database, keyring),
        intents=intents,
        leases=leases,
        holder=holder,
        ground=ground,
    )


def _sign_ins(
    options: OpenIdOptions | None,
    database: Database,
    destinations: Destinations,
    rights: Rights,
    audit: Audit,
    keyring: Keyring,
) -> SignIns | None:
    if options is None:
        return None
    return SignIns(
        Provider(options, destinations),
        SignInStore(database),
        UserStore(database),
        GroupStore(database),
        rights.people,
        audit,
        key=blake2b(SIGN_INS, key=keyring.keys[keyring.current]).digest(),
    )


def _marker_key(keyring: Keyring) -> bytes:
    """Return a key that all processes have; with another key of the operator's it is another."""
    return blake2b(MARKERS, key=keyring.keys[keyring.current]).digest()


async def _keys(options: Options) -> Keyring:
    source = key_source(options.key_file, options.environment, options.key_command)
    if not source.command and not source.variable:
        await ensure_key_file(options.key_file)
    return await Keyring.from_settings(source)
