"""Who did what: told before and after, in an order that nobody can change unseen."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from nimbi.broker.access import ADMIN, Caller
from nimbi.broker.verification import verified
from nimbi.gateway.audit import CANCELLED, CLIENT, REQUEST_ID
from nimbi.model.audit import OK, OPEN, AuditEntry, AuditFilter, AuditReport, Phase
from nimbi.model.errors import CloudError, NotFound
from nimbi.store.audit import AuditStore, NewEntry
from nimbi.store.connection import AsyncConnection
from nimbi.store.errors import StoreUnavailable
from nimbi.store.schema import plain

# How long an entry is kept that the operator says nothing of.
AGE = timedelta(days=400)

# How many entries of one process go into one transaction.
BATCH = 200
PAGE = 500
PRUNED_AT_ONCE = 10_000
# Other processes' entries are seen as soon as this by those who follow.
LOOK_S = 1.0

# Where the entries of an export are from, as CloudEvents have it: a reference to a URI.
SOURCE = "/v1/audit"

LONGEST_WORD = 512
MOST_DETAILS = 20
# What a name of a detail may not hold: whatever it was, it is told as `…`.
SECRET = re.compile(r"pass|secret|token|credential|private|auth|cookie|user_?data|key$", re.I)
HIDDEN = "…"


log = logging.getLogger(__name__)

# Who it was when nobody knows.
NOBODY = Caller(id="", name="", scopes=(), user="")


class Audit:
    """The record of all changes. The request and the client's address are those of this context.

    Whoever is about to change something calls `begun` first, and changes nothing when that raises:
    what is not written down is not done. Entries of many tasks at once share a transaction.
    """

    def __init__(self, store: AuditStore) -> None:
        self._store = store
        self._waiting: list[tuple[NewEntry, asyncio.Future[int]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._open: dict[int, NewEntry] = {}
        self._endings: set[asyncio.Future[None]] = set()
        # Set with the next entry of this process, and then replaced.
        self._moved = asyncio.Event()

    async def begun(
        self,
        caller: Caller,
        operation: str,
        *,
        account: str | None = None,
        thing: str | None = None,
        details: Mapping[str, Any] | None = None,
        owners: tuple[str, ...] | None = None,
    ) -> int:
        """Say that a caller is about to do something; return the entry's number, for `ended`.

        `owners` are the tenants from the root to the one that the thing belongs to, None for the
        caller's own: whoever audits one of them sees the entry. `details` are names with numbers,
        truth values, short texts or lists of such; those whose names sound like secrets are hidden.
        Raises StoreUnavailable.
        """
        entry = _entry(caller, operation, account, thing, details, owners)
        written = self._appended(entry)
        written.add_done_callback(partial(self._note, entry))
        try:
            return await asyncio.shield(written)
        except asyncio.CancelledError:
            written.add_done_callback(self._give_up)
            raise

    async def ended(self, id: int, result: str = OK, thing: str | None = None) -> None:
        """Say how it ended: `ok`, or the code of an error; and the thing that was made.

        Raises NotFound for what has not begun, StoreUnavailable.
        """
        begun = self._open.pop(id, None) or await self._begun(id)
        await self._append(
            begun._replace(
                at=datetime.now(UTC),
                phase=Phase.ENDED,
                began=id,
                thing=_word(thing) or begun.thing,
                result=_word(result),
            )
        )

    async def told(
        self,
        caller: Caller,
        operation: str,
        result: str = OK,
        *,
        account: str | None = None,
        thing: str | None = None,
        details: Mapping[str, Any] | None = None,
        owners: tuple[str, ...] | None = None,
    ) -> int:
        """Say in one entry what was done, or refused; else as `begun`."""
        entry = _entry(caller, operation, account, thing, details, owners)
        return await self._append(entry._replace(phase=Phase.TOLD, result=_word(result)))

    async def along(
        self,
        connection: AsyncConnection,
        caller: Caller,
        operation: str,
        result: str = OK,
        *,
        thing: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Say it in the transaction of what was done, as its last statement; else as `told`."""
        entry = _entry(caller, operation, None, thing, details, None)
        entry = entry._replace(phase=Phase.TOLD, result=_word(result))
        await self._store.along(connection, [entry])

    async def page(
        self, wish: AuditFilter, *, after: int | None, before: int | None, limit: int
    ) -> tuple[AuditEntry, ...]:
        """Return entries after one, the oldest first; without `after` the newest first."""
        if after is not None:
            return await self._store.after(after, limit, wish)
        return await self._store.before(before, limit, wish)

    async def newest(self) -> int:
        """Return the number of the newest entry, 0 before the first."""
        return await self._store.newest()

    async def each(self, wish: AuditFilter, after: int = 0) -> AsyncGenerator[AuditEntry]:
        """Yield all entries after one up to the newest as of now, the oldest first."""
        last = await self.newest()
        while found := await self._store.after(after, PAGE, wish):
            for entry in found:
                if entry.seq > last:
                    return
                yield entry
            after = found[-1].seq

    async def follow(
        self, wish: AuditFilter, after: int, *, heartbeat_s: float = 15.0
    ) -> AsyncGenerator[AuditEntry | None]:
        """Yield entries after one as they are written, for ever; None after a while without any.

        Other processes' entries are seen after a second. Whoever reads slowly misses nothing.
        """
        clock = asyncio.get_running_loop().time
        beat_at = clock() + heartbeat_s
        while True:
            moved, newest = self._moved, await self.newest()
            found = await self._store.after(after, PAGE, wish)
            for entry in found:
                yield entry
                after, beat_at = entry.seq, clock() + heartbeat_s
            if len(found) == PAGE:
                continue
            after = max(after, newest)
            if clock() >= beat_at:
                yield None
                beat_at = clock() + heartbeat_s
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), min(LOOK_S, heartbeat_s))

    async def verify(self, expect: str | None = None) -> AuditReport:
        """Go through all entries, and say which are not as they were written.

        `expect` is the head of an earlier report: who has removed the newest entries, or has
        written all anew, is found by it. Raises Invalid for one that is none.
        """
        return await verified(self._store, expect)

    async def prune(self, before: datetime) -> int:
        """Remove entries from before a time, the oldest first; return how many.

        What is left stays verifiable: an entry tells up to where the others are gone.
        """
        details = {"before": before.isoformat()}
        told = _entry(ADMIN, "audit.prune", None, None, details, None)
        told = told._replace(phase=Phase.TOLD, name="retention", result=OK)
        count, gone = 0, PRUNED_AT_ONCE
        while gone == PRUNED_AT_ONCE:
            now = datetime.now(UTC)
            gone = await self._store.prune(before, told._replace(at=now), most=PRUNED_AT_ONCE)
            count += gone
        return count

    async def _begun(self, id: int) -> NewEntry:
        found = await self._store.get(id)
        if found is None:
            raise NotFound(f"nothing began as the entry {id}")
        return NewEntry(
            at=found.at,
            phase=found.phase,
            began=0,
            user=found.user,
            name=found.name,
            token=found.token,
            tenant=found.tenant,
            owners=found.owners,
            operation=found.operation,
            account=found.account or "",
            thing=found.thing or "",
            result=OPEN,
            request_id=found.request_id or "",
            address=found.address or "",
            details=found.details,
        )

    def _note(self, entry: NewEntry, written: "asyncio.Future[int]") -> None:
        if written.exception() is None:
            self._open[written.result()] = entry

    def _give_up(self, written: "asyncio.Future[int]") -> None:
        """End what has begun and will never be done: whoever wanted it has left."""
        if written.exception() is None:
            ending = asyncio.ensure_future(self._end_given_up(written.result()))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def _end_given_up(self, id: int) -> None:
        try:
            await self.ended(id, CANCELLED)
        except CloudError:
            log.warning("that a change was given up could not be written down", exc_info=True)

    async def _append(self, entry: NewEntry) -> int:
        return await asyncio.shield(self._appended(entry))

    def _appended(self, entry: NewEntry) -> "asyncio.Future[int]":
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # Who has left meanwhile does not hear of it.
        written.add_done_callback(_heard)
        self._waiting.append((entry, written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return written

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                numbers = await self._store.append([entry for entry, _ in batch])
            except BaseException as error:  # noqa: BLE001  it is whoever waits that is told
                for _, written in batch:
                    if not written.done():
                        written.set_exception(_shown(error))
                continue
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
            for (_, written), seq in zip(batch, numbers, strict=True):
                if not written.done():
                    written.set_result(seq)


def cloud_event(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry as CloudEvents 1.0 have it, in JSON.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
    """
    event = {
        "specversion": "1.0",
        "id": str(entry.seq),
        "source": SOURCE,
        "type": f"nimbi.audit.{entry.phase}.{entry.operation}",
        "time": entry.at,
        "datacontenttype": "application/json",
        "data": entry,
    }
    # Who reads by subject gets what is done to one thing, whoever does it.
    parts = [quote(part, safe="") for part in (entry.account, entry.thing) if part]
    return {**event, "subject": "/".join(parts)} if parts else event


def result_of(error: BaseException) -> str:
    """Return the result of what an error has ended."""
    if isinstance(error, CloudError):
        return error.code
    if isinstance(error, asyncio.CancelledError):
        return CANCELLED
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else "internal"


def _entry(
    caller: Caller,
    operation: str,
    account: str | None,
    thing: str | None,
    details: Mapping[str, Any] | None,
    owners: tuple[str, ...] | None,
) -> NewEntry:
    return NewEntry(
        at=datetime.now(UTC),
        phase=Phase.BEGUN,
        began=0,
        user=_word(caller.user),
        name=_word(caller.name),
        token=_word(caller.id),
        tenant=caller.tenant,
        owners=caller.path if owners is None else owners,
        operation=_word(operation),
        account=_word(account),
        thing=_word(thing),
        result=OPEN,
        request_id=_word(REQUEST_ID.get()),
        address=_word(CLIENT.get()),
        details=safe(details or {}),
    )


def safe(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of details may be kept: short, of simple types, and nothing secret."""
    names = list(details)[:MOST_DETAILS]
    return {
        _word(name): HIDDEN if SECRET.search(name) else _simple(details[name]) for name in names
    }


def _simple(value: Any) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        # JSON's readers, ours too, take no greater ones.
        return value if abs(value) < 2**63 else HIDDEN
    if isinstance(value, list | tuple | frozenset | set):
        return [_simple(part) for part in list(value)[:MOST_DETAILS]]
    return _word(value) if isinstance(value, str) else HIDDEN


def _word(text: str | None) -> str:
    text = plain(text or "")
    return text if len(text) <= LONGEST_WORD else text[: LONGEST_WORD - 1] + HIDDEN


def _heard(written: "asyncio.Future[int]") -> None:
    if not written.cancelled():
        written.exception()


def _shown(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else StoreUnavailable("the server is stopping")
