"""The audit: one order for all, a chain that shows what was changed, and what retention leaves."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete, text, update
from tests.store.samples import START, at

from nimbi.broker.verification import verified
from nimbi.model.audit import AuditFilter, Phase
from nimbi.model.errors import Invalid
from nimbi.store.audit import ALL, AuditStore, NewEntry, hash_of
from nimbi.store.database import Database, open_database
from nimbi.store.schema import audit, audit_head


def entry(operation: str = "instances.start", **values: Any) -> NewEntry:
    new = NewEntry(
        at=START,
        phase=Phase.TOLD,
        began=0,
        user="u1",
        name="Ada",
        token="t1",
        tenant="root",
        owners=("root",),
        operation=operation,
        account="aws",
        thing="i-1",
        result="ok",
        request_id="r1",
        address="192.0.2.1",
        details={"size": 3},
    )
    return new._replace(**values)


@pytest.fixture
def store(database: Database) -> AuditStore:
    return AuditStore(database)


async def filled(store: AuditStore, count: int = 8) -> None:
    await store.append([entry(thing=f"i-{n}", at=at(n)) for n in range(1, count + 1)])


async def faults(store: AuditStore, expect: str | None = None) -> list[str]:
    return [fault.text for fault in (await verified(store, expect)).faults]


async def test_entries_are_numbered_from_one_and_read_back_as_they_were_written(
    store: AuditStore,
) -> None:
    assert await store.append([entry(), entry("instances.stop", account="", thing="")]) == [1, 2]
    first, second = await store.after(0)
    assert (first.seq, first.user, first.thing, first.details) == (1, "u1", "i-1", {"size": 3})
    assert (second.account, second.thing, second.previous) == (None, None, first.hash)
    assert first.previous == "0" * 64


async def test_an_audit_as_it_was_written_has_no_faults_and_tells_its_head(
    store: AuditStore,
) -> None:
    assert (await verified(store)).is_whole
    await filled(store)
    report = await verified(store)
    newest = (await store.before(None, 1))[0]
    assert (report.is_whole, report.entries, report.first, report.last) == (True, 8, 1, 8)
    assert report.head == f"8:{newest.hash}"


async def test_text_that_a_database_cannot_keep_does_not_break_the_chain(
    store: AuditStore,
) -> None:
    await store.append([entry(name="a\0b \ud800 é", thing="\U0001f600")])
    assert await faults(store) == []


@pytest.mark.parametrize(
    "column",
    ["user", "name", "token", "tenant", "owners", "operation", "account", "thing", "result"],
)
async def test_a_changed_entry_is_named(store: AuditStore, database: Database, column: str) -> None:
    await filled(store)
    async with database.writing() as connection:
        await connection.execute(update(audit).where(audit.c.seq == 4).values({column: "x"}))
    assert await faults(store) == ["entry 4 was changed, or moved here"]


@pytest.mark.parametrize(
    "change", [{"at_us": 7}, {"began": 1}, {"details": b"{}"}, {"address": ""}, {"request_id": ""}]
)
async def test_a_change_of_what_goes_with_an_entry_is_named(
    store: AuditStore, database: Database, change: dict[str, Any]
) -> None:
    await filled(store)
    async with database.writing() as connection:
        await connection.execute(update(audit).where(audit.c.seq == 4).values(change))
    assert await faults(store) == ["entry 4 was changed, or moved here"]


async def test_an_entry_that_was_replaced_together_with_its_hash_is_found_by_the_next(
    store: AuditStore, database: Database
) -> None:
    await filled(store)
    async with database.writing() as connection:
        row = (await connection.execute(audit.select().where(audit.c.seq == 4))).one()
        hash = hash_of(SimpleNamespace(**{**row._mapping, "user": "somebody"}))
        await connection.execute(
            update(audit).where(audit.c.seq == 4).values(user="somebody", hash=hash)
        )
    assert await faults(store) == [
        "entry 5 does not follow entry 4: one of them was replaced or moved"
    ]


async def test_removed_entries_are_named(store: AuditStore, database: Database) -> None:
    await filled(store)
    async with database.writing() as connection:
        await connection.execute(delete(audit).where(audit.c.seq.in_([3, 5, 6])))
    assert await faults(store) == ["entry 3 was removed", "entries 5 to 6 were removed"]


async def test_entries_that_changed_places_are_named(store: AuditStore, database: Database) -> None:
    await filled(store)
    async with database.writing() as connection:
        for old, new in ((4, 100), (5, 4), (100, 5)):
            await connection.execute(update(audit).where(audit.c.seq == old).values(seq=new))
    told = await faults(store)
    assert "entry 4 was changed, or moved here" in told
    assert "entry 5 was changed, or moved here" in told


async def test_removed_newest_entries_are_missed_by_the_head(
    store: AuditStore, database: Database
) -> None:
    await filled(store)
    async with database.writing() as connection:
        await connection.execute(delete(audit).where(audit.c.seq > 6))
    assert await faults(store) == ["entries 7 to 8 were removed"]


async def test_who_removes_the_newest_and_sets_the_head_back_is_found_by_an_expected_head(
    store: AuditStore, database: Database
) -> None:
    await filled(store)
    kept = (await verified(store)).head
    async with database.writing() as connection:
        await connection.execute(delete(audit).where(audit.c.seq > 6))
        hash = (await connection.execute(audit.select().where(audit.c.seq == 6))).one().hash
        await connection.execute(update(audit_head).values(seq=6, hash=hash))
    assert await faults(store) == []
    assert await faults(store, kept) == ["the expected head is gone, and all after it"]
    await store.append([entry(), entry()])
    assert await faults(store, kept) == ["entry 8 has another hash than expected"]


async def test_a_head_that_was_set_back_alone_is_found(
    store: AuditStore, database: Database
) -> None:
    await filled(store)
    async with database.writing() as connection:
        hash = (await connection.execute(audit.select().where(audit.c.seq == 6))).one().hash
        await connection.execute(update(audit_head).values(seq=6, hash=hash))
    assert await faults(store) == ["the head was set back: it does not know entry 8"]


async def test_an_expected_head_holds_for_all_that_was_appended_later(store: AuditStore) -> None:
    await filled(store)
    kept = (await verified(store)).head
    await filled(store)
    assert await faults(store, kept) == []


@pytest.mark.parametrize("head", ["", "8", "8:xyz", "-1:" + "0" * 64, "8:" + "0" * 63])
async def test_what_is_no_head_is_refused(store: AuditStore, head: str) -> None:
    with pytest.raises(Invalid, match="NUMBER:HASH"):
        await verified(store, head)


async def test_retention_leaves_what_stays_verifiable(
    store: AuditStore, database: Database
) -> None:
    await filled(store)
    kept = (await verified(store)).head
    assert await store.prune(at(5), entry("audit.prune", at=at(100)), most=2) == 2
    assert await store.prune(at(5), entry("audit.prune", at=at(100)), most=2) == 2
    assert await store.prune(at(5), entry("audit.prune", at=at(100))) == 0
    report = await verified(store, kept)
    assert (report.faults, report.first, report.entries) == ((), 5, 6)
    assert [each.operation for each in await store.before(None, 2)] == ["audit.prune"] * 2


async def test_who_removes_the_oldest_and_moves_the_anchor_is_found(
    store: AuditStore, database: Database
) -> None:
    await filled(store)
    async with database.writing() as connection:
        await connection.execute(delete(audit).where(audit.c.seq <= 3))
    assert await faults(store) == ["entries 1 to 3 were removed"]
    async with database.writing() as connection:
        row = (await connection.execute(audit.select().where(audit.c.seq == 4))).one()
        anchor = update(audit_head).values(anchor_seq=3, anchor_hash=row.previous)
        await connection.execute(anchor)
    assert await faults(store) == ["no entry tells that retention removed those up to 3"]


async def test_retention_can_remove_all_there_is(store: AuditStore) -> None:
    await filled(store)
    assert await store.prune(at(50), entry("audit.prune", at=at(100))) == 8
    assert await faults(store) == []
    assert [each.seq for each in await store.after(0)] == [9]


async def test_filters_find_what_fits(store: AuditStore) -> None:
    await store.append(
        [
            entry("instances.start", user="ada"),
            entry("instances.stop", user="bob", result="forbidden", at=at(10)),
            entry("volumes.create", account="local", request_id="r9", at=at(20)),
            entry("instancesx.y", tenant="p", owners=("root", "d", "p")),
            entry("tokens.create", tenant="P", owners=("root", "D", "P")),
        ]
    )

    async def found(**wish: Any) -> list[int]:
        return [each.seq for each in await store.after(0, 100, AuditFilter(**wish))]

    assert await found() == [1, 2, 3, 4, 5]
    assert await found(user="ada") == [1]
    assert await found(operation="instances.*") == [1, 2]
    assert await found(operation="instances.stop", result="forbidden") == [2]
    assert await found(account="local", request_id="r9") == [3]
    assert await found(since=at(10), until=at(20)) == [2]
    assert await found(tenant="p") == [4]
    assert await found(below=("root",)) == [1, 2, 3, 4, 5]
    assert await found(below=("root", "d")) == [4]
    assert await found(below=("root", "d", "p")) == [4]
    assert await found(below=("root", "d", "other")) == []


async def test_what_has_ended_is_listed_once_unless_all_is_asked_for(store: AuditStore) -> None:
    begun, _ = await store.append([entry(phase=Phase.BEGUN, result="open")] * 2)
    await store.append([entry(phase=Phase.ENDED, began=begun)])
    assert [each.seq for each in await store.after(0, 9, AuditFilter())] == [2, 3]
    assert [each.seq for each in await store.after(0, 9, ALL)] == [1, 2, 3]
    assert [each.seq for each in await store.before(3, 9, ALL)] == [2, 1]


async def test_many_writers_append_in_one_order(url: str) -> None:
    async with AsyncExitStack() as stack:
        stores = [AuditStore(await stack.enter_async_context(open_database(url))) for _ in range(3)]
        await asyncio.gather(
            *(stores[n % 3].append([entry(user=f"u{n}"), entry(user=f"u{n}")]) for n in range(60))
        )
        report = await verified(stores[0])
        assert (report.is_whole, report.entries, report.last) == (True, 120, 120)


async def test_a_verification_while_others_append_and_prune_finds_no_fault(
    store: AuditStore,
) -> None:
    await filled(store)

    async def work() -> None:
        for n in range(10):
            await store.append([entry(at=at(n))])
            await store.prune(at(n), entry("audit.prune", at=datetime.now(UTC)), most=3)

    working = asyncio.create_task(work())
    while not working.done():
        assert await faults(store) == []
    await working
    assert await faults(store) == []


async def test_a_clock_that_was_ahead_holds_back_retention_but_breaks_nothing(
    store: AuditStore, database: Database
) -> None:
    ahead = START + timedelta(days=900)
    await store.append([entry(at=at(1)), entry(at=ahead), entry(at=at(2))])
    assert await store.prune(at(5), entry("audit.prune", at=at(100))) == 1
    assert await faults(store) == []
    async with database.reading() as connection:
        kept = (await connection.execute(text("select count(*) from audit"))).scalar()
    assert kept == 3
