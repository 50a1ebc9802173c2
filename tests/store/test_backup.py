"""Backups, also from one kind of database to the other, and the rotation of keys."""

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, update
from tests.store.rows import row_of, tables
from tests.store.samples import START, account, at, thing

from nimbi.model.webhooks import Webhook
from nimbi.store.accounts import AccountStore
from nimbi.store.accounts import bound_to as account_name
from nimbi.store.answers import AnswerStore, Remembered
from nimbi.store.backup import KEPT, back_up, restore
from nimbi.store.database import Database, open_database
from nimbi.store.errors import NewerSchema, SealError, StoreError
from nimbi.store.events import EventStore
from nimbi.store.inventory import InventoryStore
from nimbi.store.keys import new_key
from nimbi.store.leases import LeaseStore
from nimbi.store.people import PeopleStore
from nimbi.store.resealing import in_use, reseal
from nimbi.store.schema import counters
from nimbi.store.sealing import Keyring
from nimbi.store.webhooks import WebhookStore
from nimbi.store.webhooks import bound_to as webhook_name

KINDS = ("sqlite", "postgresql")


async def fill(database: Database, ring: Keyring) -> None:
    accounts, inventory = AccountStore(database), InventoryStore(database)
    sealed = ring.seal(b"hush", account_name("a"))
    await accounts.add(account("a", own_login=False), sealed)
    await inventory.replace("a", "instances", [thing("1"), thing("2", tags={"k": "v"})], at(0))
    await inventory.replace("a", "instances", [thing("1"), thing("3")], at(1))
    await PeopleStore(database).set_password_hash("hash")
    await LeaseStore(database).take("poll/a", "p", 600)
    hook = Webhook(id="w", url="https://x", accounts=(), collections=(), created_at=START)
    await WebhookStore(database).add(hook, ring.seal(b"hush", webhook_name("w")))
    answers = AnswerStore(database, ring)
    await answers.begin("k", "o", b"d", holder="p", seconds=60)
    await answers.finish("k", "o", "p", 200, [], b"told once")


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
async def test_a_backup_brings_back_what_there_was(
    of: str, to: str, new_url: Callable[..., str], tmp_path: Path, keyring: Keyring
) -> None:
    source, target, file = new_url(of, "of"), new_url(to, "to"), tmp_path / "backup"
    async with open_database(source) as database:
        await fill(database, keyring)
        await back_up(source, file)
        await AccountStore(database).remove("a")
    async with open_database(target) as database:
        accounts = AccountStore(database)
        for n in range(9):
            await accounts.add(account(f"other{n}"), None)
        await restore(target, file)
        kept, sealed = await accounts.with_credentials("a")
        assert (kept, [each.id for each in await accounts.all()]) == (
            account("a", own_login=False),
            ["a"],
        )
        assert sealed is not None
        assert keyring.open(sealed, account_name("a")) == b"hush"
        assert await InventoryStore(database).thing("a", "instances", "3") == thing("3")
        assert await PeopleStore(database).password_hash() == "hash"
        # A lease of then holds up nobody now, and no id is given twice.
        assert await LeaseStore(database).take("poll/a", "q", 60) == 1
        assert await EventStore(database).newest() == 9
        await accounts.add(account("b"), None)
        assert [event.id for event in await EventStore(database).after(0)][-1] == 10
    left = [path.name for path in tmp_path.iterdir() if "backup" in path.name]  # noqa: ASYNC240
    assert (left, stat.S_IMODE(file.stat().st_mode)) == (["backup"], 0o600)


@pytest.mark.parametrize(("of", "to"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
async def test_a_row_of_every_table_comes_back_but_of_who_is_at_work_now(
    of: str, to: str, new_url: Callable[..., str], tmp_path: Path
) -> None:
    source, target, file = new_url(of, "of"), new_url(to, "to"), tmp_path / "backup"
    async with open_database(source) as database, database.writing() as connection:
        await connection.execute(update(counters).values(value=3))
        for table in tables():
            await connection.execute(table.insert().values(row_of(table)))
    await back_up(source, file)
    await restore(target, file)
    assert {table.name for table in tables()} - {table.name for table in KEPT} == {
        "attempts",
        "leases",
    }
    async with open_database(target) as database, database.reading() as connection:
        for table in tables():
            rows = [dict(row._mapping) for row in await connection.execute(select(table))]
            assert (row_of(table) in rows) == (table in KEPT), table.name


async def test_a_backup_of_a_newer_program_is_refused_and_changes_nothing(
    url: str, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    async with open_database(url) as database:
        await back_up(url, file)
        with closing(sqlite3.connect(file)) as backup, backup:
            backup.execute("update alembic_version set version_num = '9999'")
        await AccountStore(database).add(account("a"), None)
        with pytest.raises(NewerSchema, match="backup"):
            await restore(url, file)
        assert await AccountStore(database).get("a")


@pytest.mark.parametrize("content", [b"", b"no backup" * 1000, None])
async def test_what_is_no_backup_changes_nothing(
    content: bytes | None, new_url: Callable[..., str], tmp_path: Path
) -> None:
    url, file = new_url("sqlite"), tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    async with open_database(url) as database:
        await AccountStore(database).add(account("a"), None)
        with pytest.raises(StoreError, match="file: "):
            await restore(url, file)
        assert await AccountStore(database).get("a")


async def test_a_backup_that_cannot_be_written_is_told(
    new_url: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        await back_up(new_url("sqlite"), tmp_path / "nowhere" / "backup")


async def test_keys_are_rotated_while_servers_run(database: Database) -> None:
    old, new = new_key(), new_key()
    before, both, after = Keyring.of(old), Keyring.of(f"{new}\n{old}"), Keyring.of(new)
    await fill(database, before)
    assert await in_use(database) == {before.current: 3}
    assert await reseal(database, both) == 3
    assert await in_use(database) == {after.current: 3}
    assert await reseal(database, both) == 0
    sealed = await AccountStore(database).credentials("a")
    assert sealed is not None
    assert after.open(sealed, account_name("a")) == b"hush"
    assert after.open(await WebhookStore(database).secret("w"), webhook_name("w")) == b"hush"
    again = await AnswerStore(database, after).begin("k", "o", b"d", holder="q", seconds=1)
    assert again == Remembered(200, (), b"told once")


async def test_what_no_key_opens_stays_and_is_told_and_the_rest_is_done(
    database: Database,
) -> None:
    ring, lost = Keyring.of(new_key()), Keyring.of(new_key())
    accounts = AccountStore(database)
    for n in range(3):
        sealed = (lost if n == 1 else ring).seal(b"hush", account_name(f"a{n}"))
        await accounts.add(account(f"a{n}"), sealed)
    newer = Keyring({"new": b"k" * 32, **ring.keys})
    with pytest.raises(SealError, match="1 records stay as they are; the first: account/a1"):
        await reseal(database, newer)
    assert await in_use(database) == {"new": 2, lost.current: 1}


async def test_nothing_secret_is_in_the_database(
    url: str, keyring: Keyring, tmp_path: Path
) -> None:
    async with open_database(url) as database:
        await fill(database, keyring)
    await back_up(url, tmp_path / "backup")
    kept = (tmp_path / "backup").read_bytes()
    assert b"mock" in kept
    assert b"hush" not in kept
    assert b"told once" not in kept
