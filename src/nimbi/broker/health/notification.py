"""Tells people of alerts: an event for each, which webhooks are told of, and letters."""

from datetime import UTC, datetime, timedelta

import msgspec

from nimbi.model.alerts import Alert, AlertState
from nimbi.model.inventory import EventKind
from nimbi.store.alerts import AlertStore, Untold
from nimbi.store.connection import AsyncConnection
from nimbi.store.database import Database
from nimbi.store.events import Change, append
from nimbi.store.mails import Mail, MailStore

COLLECTION = "alerts"
BATCH = 50
LONGEST_SUBJECT = 200
# So many alerts of one source in so long make a flapping one: of more no letters are written.
FLAPPING = 6
FLAPPING_WITHIN = timedelta(hours=1)
HELD_BACK = "\nIt comes and goes: you are not written to of more alerts of it within this hour.\n"

KINDS = {AlertState.FIRING: EventKind.APPEARED, AlertState.RESOLVED: EventKind.CHANGED}


class Notifier:
    """Tells of each alert once when it fires and once when it is over, unless it is silenced.

    Without `mails` no letters are written.
    """

    def __init__(self, database: Database, *, mails: bool) -> None:
        self._database = database
        self._alerts = AlertStore(database)
        self._mails = MailStore(database) if mails else None

    async def tell(self) -> int:
        """Tell what is to be told now; return of how many alerts."""
        async with self._database.reading() as connection:
            # Nearly always there is nothing: that costs no transaction.
            if not await self._alerts.untold(connection, 1):
                return 0
        async with self._database.writing() as connection:
            untold = await self._alerts.untold(connection, BATCH)
            now = datetime.now(UTC)
            for each in untold:
                await self._alerts.told(connection, each.alert)
                if self._mails is not None and each.emails:
                    await self._write(connection, self._mails, each, now)
            await append(connection, now, [change_of(each.alert) for each in untold])
        return len(untold)

    async def _write(
        self, connection: AsyncConnection, mails: MailStore, untold: Untold, now: datetime
    ) -> None:
        """Have letters sent, unless so many were lately that one more helps nobody."""
        source = untold.alert.source
        recent = await self._alerts.count(connection, source, now - FLAPPING_WITHIN)
        for mail in letters(untold, now, is_last=recent == FLAPPING) if recent <= FLAPPING else ():
            await mails.add(connection, mail)


def change_of(alert: Alert) -> Change:
    """Return the event that tells of an alert: `appeared` when it fires, `changed` at its end."""
    body = msgspec.json.encode(alert)
    account = alert.account or ""
    return Change(account, COLLECTION, alert.id, KINDS[alert.state], alert.state.value, body)


def letters(untold: Untold, now: datetime, *, is_last: bool = False) -> list[Mail]:
    """Return the letters to those who are to know; the same alert in the same state, the same."""
    alert = untold.alert
    return [
        Mail(
            id=f"{alert.id}.{alert.state}.{number}",
            alert_id=alert.id,
            recipient=email,
            subject=_line(f"[{alert.state}] {alert.name}"),
            text=text_of(alert) + (HELD_BACK if is_last else ""),
            created_at=now,
        )
        for number, email in enumerate(untold.emails)
    ]


def text_of(alert: Alert) -> str:
    """Return what a letter says."""
    facts = {
        "State": alert.state.value,
        "What": alert.summary,
        "Account": alert.account,
        "Instance": alert.instance_id,
        "Began": _time(alert.began_at),
        "Fired": _time(alert.fired_at),
        "Over": _time(alert.resolved_at),
        "Alert": alert.id,
    }
    lines = [f"{name + ':':10}{_line(value)}" for name, value in facts.items() if value]
    return "\n".join([_line(alert.name), "", *lines, ""])


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _line(text: str) -> str:
    """Return text on one line: a name must not add headers or facts."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain[:LONGEST_SUBJECT] if len(plain) > LONGEST_SUBJECT else plain
