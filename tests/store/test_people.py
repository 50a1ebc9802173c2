"""Passwords, tokens, and failures to sign in."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from tests.store.samples import START, at

from nimbi.model.errors import Conflict, NotFound
from nimbi.model.tokens import Scope, Token
from nimbi.store.database import Database
from nimbi.store.people import Attempts, PeopleStore

TOKEN = Token(
    id="t1",
    name="ci",
    scopes=(Scope("read", "a"), Scope()),
    created_at=START,
    expires_at=at(3600),
)


async def test_a_password_is_kept_as_its_hash_and_replaced(database: Database) -> None:
    store = PeopleStore(database)
    assert await store.password_hash() is None
    await store.set_password_hash("first")
    await store.set_password_hash("second")
    assert await store.password_hash() == "second"
    assert await store.password_hash("somebody") is None


async def test_a_token_is_found_by_the_digest_of_its_secret_until_it_is_revoked(
    database: Database,
) -> None:
    store = PeopleStore(database)
    await store.add(TOKEN, b"digest")
    assert await store.find_by_digest(b"digest") == await store.get("t1") == TOKEN
    assert await store.find_by_digest(b"other") is None
    await store.revoke("t1")
    assert await store.find_by_digest(b"digest") is None
    for work in (store.revoke("t1"), store.get("t1")):
        with pytest.raises(NotFound):
            await work


async def test_no_two_tokens_have_one_id_or_one_secret(database: Database) -> None:
    store = PeopleStore(database)
    await store.add(TOKEN, b"digest")
    for token, digest in (
        (TOKEN, b"other"),
        (msgspec.structs.replace(TOKEN, id="t2"), b"digest"),
    ):
        with pytest.raises(Conflict):
            await store.add(token, digest)


async def test_tokens_are_listed_in_the_order_in_which_they_were_made(database: Database) -> None:
    store = PeopleStore(database)
    for n in (2, 1, 3):
        token = msgspec.structs.replace(TOKEN, id=f"t{n}", created_at=at(n))
        await store.add(token, bytes([n]))
    assert [token.id for token in await store.list()] == ["t1", "t2", "t3"]


async def test_the_use_of_a_token_is_written_down_once_a_minute(database: Database) -> None:
    store = PeopleStore(database)
    await store.add(TOKEN, b"digest")
    seen = []
    for seconds in (0, 59, 60, 70):
        await store.touch("t1", at(seconds))
        used = (await store.get("t1")).used_at
        assert used is not None
        seen.append((used - START) / timedelta(seconds=1))
    assert seen == [0, 0, 60, 60]


async def test_failures_are_counted_by_place_until_one_signs_in(database: Database) -> None:
    store = PeopleStore(database)
    await asyncio.gather(*(store.failed("10.0.0.1", at(n)) for n in range(5)))
    assert await store.failed("10.0.0.1", at(9)) == Attempts(6, at(9))
    assert await store.attempts("10.0.0.1") == Attempts(6, at(9))
    assert await store.attempts("10.0.0.2") == Attempts(0, None)
    await store.succeeded("10.0.0.1")
    assert await store.attempts("10.0.0.1") == Attempts(0, None)


async def test_old_failures_and_tokens_are_forgotten(database: Database) -> None:
    store = PeopleStore(database)
    await store.failed("old", at(0))
    await store.failed("new", at(9000))
    await store.add(TOKEN, b"digest")
    await store.add(msgspec.structs.replace(TOKEN, id="t2", expires_at=None), b"for good")
    assert await store.prune(at(8000)) == 2
    assert (await store.attempts("new")).failures == 1
    assert [token.id for token in await store.list()] == ["t2"]
