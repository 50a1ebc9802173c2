"""Alerts, one at a time of each matter, and the silences in which nobody is told."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.accounts import Problem
from nimbi.model.alerts import Alert, AlertState, Silence, SourceKind
from nimbi.model.errors import NotFound
from nimbi.model.people import Owner
from nimbi.store.database import Database
from nimbi.store.moments import moment, moment_or_none, stored
from nimbi.store.schema import alerts, silences

OWNER = msgspec.json.Decoder(Owner)
ALERTS_AGE = timedelta(days=90)
SILENCES_AGE = timedelta(days=30)


class Matter(msgspec.Struct, frozen=True, kw_only=True):
    """What an alert is about, and who is written to."""

    kind: SourceKind
    source: str
    rule: str
    name: str
    tenant: str
    account: str | None
    instance_id: str | None = None
    summary: str = ""
    problem: Problem | None = None
    emails: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return what no two alerts that are not over have in common."""
        return f"{self.kind}/{self.source}/{self.rule}"


MATTER = msgspec.json.Decoder(Matter)


class Untold(NamedTuple):
    """An alert of which people do not know yet how it stands; `emails` are written to."""

    alert: Alert
    emails: tuple[str, ...]


class AlertStore:
    """The alerts. What changes one does so in the transaction of what found it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pend(self, connection: AsyncConnection, matter: Matter, at: datetime) -> None:
        """Say that something may be wrong; when it is known already, nothing changes."""
        await self._open(connection, matter, at, AlertState.PENDING)

    async def fire(self, connection: AsyncConnection, matter: Matter, at: datetime) -> None:
        """Say that something is wrong; when that is known already, only what is told of it."""
        await self._open(connection, matter, at, AlertState.PENDING)
        same = alerts.c.open_key == matter.key
        fires = update(alerts).where(same, alerts.c.state == AlertState.PENDING.value)
        await connection.execute(
            fires.values(state=AlertState.FIRING.value, fired_us=stored(at), is_untold=True)
        )
        body = msgspec.json.encode(matter)
        await connection.execute(update(alerts).where(same).values(body=body))

    async def resolve(self, connection: AsyncConnection, key: str, at: datetime) -> None:
        """Say that it is over. What was only pending is forgotten."""
        same = alerts.c.open_key == key
        await connection.execute(
            delete(alerts).where(same, alerts.c.state == AlertState.PENDING.value)
        )
        over = (
            update(alerts)
            .where(same)
            .values(
                state=AlertState.RESOLVED.value,
                resolved_us=stored(at),
                open_key=None,
                # Who never heard of it need not hear that it is over.
                is_untold=alerts.c.told == AlertState.FIRING.value,
            )
        )
        await connection.execute(over)

    async def resolve_source(self, connection: AsyncConnection, source: str, at: datetime) -> None:
        """Say that all of a source is over, as the source itself is no more."""
        wish = select(alerts.c.open_key).where(
            alerts.c.source == source, alerts.c.open_key.is_not(None)
        )
        for key in (await connection.execute(wish)).scalars().all():
            await self.resolve(connection, key, at)

    async def untold(self, connection: AsyncConnection, limit: int) -> tuple[Untold, ...]:
        """Return alerts of which people are to be told now, for this transaction alone."""
        now = self._database.now_us()
        # As `covers` says.
        is_quiet = select(silences.c.id).where(
            silences.c.begins_us <= now,
            silences.c.ends_us > now,
            silences.c.tenant == alerts.c.tenant,
            silences.c.account.in_(("", alerts.c.account)),
            silences.c.source.in_(("", alerts.c.source)),
        )
        wish = select(alerts).where(alerts.c.is_untold, ~is_quiet.exists())
        wish = wish.order_by(alerts.c.began_us)
        wish = wish.limit(limit).with_for_update(skip_locked=True, of=alerts)
        rows = (await connection.execute(wish)).all()
        return tuple(Untold(_alert(row), MATTER.decode(row.body).emails) for row in rows)

    async def count(self, connection: AsyncConnection, source: str, since: datetime) -> int:
        """Return how many alerts of a source began since a time."""
        wish = select(func.count()).where(
            alerts.c.source == source, alerts.c.began_us >= stored(since)
        )
        return int((await connection.execute(wish)).scalar_one())

    async def told(self, connection: AsyncConnection, alert: Alert) -> None:
        """Say that people know how it stands."""
        change = update(alerts).where(alerts.c.id == alert.id, alerts.c.state == alert.state.value)
        await connection.execute(change.values(told=alert.state.value, is_untold=False))

    async def list(
        self,
        *,
        states: Sequence[AlertState] = (),
        source: str | None = None,
        tenants: Collection[str] | None = None,
        limit: int = 1000,
    ) -> tuple[Alert, ...]:
        """Return alerts, of these tenants or all, the latest first."""
        wish = select(alerts)
        if tenants is not None:
            wish = wish.where(self._database.among(alerts.c.tenant, list(tenants)))
        if states:
            wish = wish.where(alerts.c.state.in_([state.value for state in states]))
        if source is not None:
            wish = wish.where(alerts.c.source == source)
        return await self._listed(wish.order_by(alerts.c.began_us.desc(), alerts.c.id).limit(limit))

    async def get(self, id: str) -> Alert:
        """Return one. Raises NotFound."""
        found = await self._listed(select(alerts).where(alerts.c.id == id))
        if not found:
            raise NotFound(f"there is no alert {id!r}")
        return found[0]

    async def prune(self, now: datetime) -> None:
        """Forget what is long over."""
        old = alerts.c.resolved_us < stored(now - ALERTS_AGE)
        past = silences.c.ends_us < stored(now - SILENCES_AGE)
        async with self._database.writing() as connection:
            await connection.execute(delete(alerts).where(old))
            await connection.execute(delete(silences).where(past))

    async def _open(
        self, connection: AsyncConnection, matter: Matter, at: datetime, state: AlertState
    ) -> None:
        new = self._database.insert(alerts).values(
            id=f"al_{stored(at):x}_{matter.source}_{matter.rule}",
            open_key=matter.key,
            tenant=matter.tenant,
            source=matter.source,
            account=matter.account or "",
            state=state.value,
            began_us=stored(at),
            told="",
            is_untold=False,
            body=msgspec.json.encode(matter),
        )
        await connection.execute(new.on_conflict_do_nothing())

    async def _listed(self, wish: Select[Any]) -> tuple[Alert, ...]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(wish)).all()
            quiet = await silent(connection, self._database)
        return tuple(
            msgspec.structs.replace(alert, silenced=any(covers(one, alert) for one in quiet))
            for alert in map(_alert, rows)
        )


class SilenceStore:
    """The silences."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, silence: Silence, owner: Owner) -> None:
        """Keep a new one."""
        values = {
            "id": silence.id,
            "tenant": silence.tenant,
            "owner": msgspec.json.encode(owner),
            "account": silence.account or "",
            "source": silence.source or "",
            "begins_us": stored(silence.begins_at),
            "ends_us": stored(silence.ends_at),
            "comment": silence.comment,
            "created_us": stored(silence.created_at),
        }
        async with self._database.writing() as connection:
            await connection.execute(insert(silences).values(values))

    async def list(self) -> tuple[Silence, ...]:
        """Return all that are kept, the one that ends last first."""
        wish = select(silences).order_by(silences.c.ends_us.desc(), silences.c.id)
        async with self._database.reading() as connection:
            return tuple(_silence(row) for row in await connection.execute(wish))

    async def get(self, id: str) -> Silence:
        """Return one. Raises NotFound."""
        wish = select(silences).where(silences.c.id == id)
        async with self._database.reading() as connection:
            row = (await connection.execute(wish)).first()
        if row is None:
            raise NotFound(f"there is no silence {id!r}")
        return _silence(row)

    async def remove(self, id: str) -> None:
        """End one at once. Raises NotFound."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(silences).where(silences.c.id == id))
        if not gone.rowcount:
            raise NotFound(f"there is no silence {id!r}")


async def silent(connection: AsyncConnection, database: Database) -> tuple[Silence, ...]:
    """Return the silences that hold now."""
    now = database.now_us()
    wish = select(silences).where(silences.c.begins_us <= now, silences.c.ends_us > now)
    return tuple(_silence(row) for row in await connection.execute(wish))


def covers(silence: Silence, alert: Alert | Matter) -> bool:
    """Return whether nobody is told of an alert in this silence; one of a tenant is for its own."""
    return (
        silence.tenant == alert.tenant
        and silence.account in (None, alert.account)
        and silence.source in (None, alert.source)
    )


def _alert(row: Row[Any]) -> Alert:
    matter = MATTER.decode(row.body)
    return Alert(
        id=row.id,
        tenant=row.tenant,
        kind=matter.kind,
        source=row.source,
        rule=matter.rule,
        name=matter.name,
        account=matter.account,
        instance_id=matter.instance_id,
        state=AlertState(row.state),
        summary=matter.summary,
        problem=matter.problem,
        began_at=moment(row.began_us),
        fired_at=moment_or_none(row.fired_us),
        resolved_at=moment_or_none(row.resolved_us),
    )


def _silence(row: Row[Any]) -> Silence:
    return Silence(
        id=row.id,
        tenant=row.tenant,
        by=OWNER.decode(row.owner).name,
        account=row.account or None,
        source=row.source or None,
        begins_at=moment(row.begins_us),
        ends_at=moment(row.ends_us),
        comment=row.comment,
        created_at=moment(row.created_us),
    )
