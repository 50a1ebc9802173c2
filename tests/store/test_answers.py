"""Answers: one for each key, also when several ask at once or one dies."""

import asyncio

import pytest
from sqlalchemy import text
from tests.store.samples import at

from nimbi.store.answers import AnswerStore, Different, New, Pending, Remembered
from nimbi.store.database import Database
from nimbi.store.sealing import Keyring

HEADERS = [("content-type", "application/json"), ("etag", '"ü"')]


@pytest.fixture
def answers(database: Database, keyring: Keyring) -> AnswerStore:
    return AnswerStore(database, keyring)


async def test_an_answer_is_given_again_as_it_was(answers: AnswerStore) -> None:
    assert await answers.begin("k", "o", b"d", holder="p", seconds=60) == New(taken_over=False)
    assert await answers.finish("k", "o", "p", 201, HEADERS, b'{"secret": 1}')
    again = await answers.begin("k", "o", b"d", holder="q", seconds=60)
    assert again == Remembered(201, tuple(HEADERS), b'{"secret": 1}')


async def test_an_answer_is_stored_sealed(answers: AnswerStore, database: Database) -> None:
    await answers.begin("k", "o", b"d", holder="p", seconds=60)
    await answers.finish("k", "o", "p", 200, [("x", "hush-header")], b"hush-body")
    async with database.reading() as connection:
        kept = (await connection.execute(text("select * from answers"))).all()
    assert "hush" not in repr(kept)


async def test_a_key_of_another_request_is_refused(answers: AnswerStore) -> None:
    await answers.begin("k", "o", b"d", holder="p", seconds=0)
    assert await answers.begin("k", "o", b"other", holder="q", seconds=60) == Different()
    await answers.finish("k", "o", "p", 200, [], b"")
    assert await answers.begin("k", "o", b"other", holder="q", seconds=60) == Different()


async def test_the_same_key_of_another_owner_is_another_key(answers: AnswerStore) -> None:
    await answers.begin("k", "o", b"d", holder="p", seconds=60)
    assert await answers.begin("k", "x", b"e", holder="p", seconds=60) == New(taken_over=False)


async def test_of_many_that_begin_at_once_one_works_and_the_others_see_who(
    answers: AnswerStore,
) -> None:
    begun = await asyncio.gather(
        *(answers.begin("k", "o", b"d", holder=f"p{n}", seconds=60) for n in range(8))
    )
    (works,) = [n for n, each in enumerate(begun) if isinstance(each, New)]
    others = {each.holder for each in begun if isinstance(each, Pending)}
    assert others == {f"p{works}"}
    assert sum(isinstance(each, Pending) for each in begun) == 7


async def test_the_work_of_a_dead_process_is_taken_over_once(answers: AnswerStore) -> None:
    await answers.begin("k", "o", b"d", holder="dead", seconds=0)
    assert await answers.begin("k", "o", b"d", holder="p", seconds=60) == New(taken_over=True)
    pending = await answers.begin("k", "o", b"d", holder="q", seconds=60)
    assert isinstance(pending, Pending)
    assert pending.holder == "p"


async def test_one_that_was_taken_over_changes_nothing_any_more(answers: AnswerStore) -> None:
    await answers.begin("k", "o", b"d", holder="slow", seconds=0)
    await answers.begin("k", "o", b"d", holder="p", seconds=60)
    assert not await answers.finish("k", "o", "slow", 200, [], b"late")
    assert not await answers.keep("k", "o", "slow", 60)
    await answers.forget("k", "o", "slow")
    assert await answers.finish("k", "o", "p", 201, [], b"good")
    again = await answers.begin("k", "o", b"d", holder="q", seconds=60)
    assert again == Remembered(201, (), b"good")


async def test_a_key_that_is_kept_is_not_taken_over(answers: AnswerStore) -> None:
    await answers.begin("k", "o", b"d", holder="p", seconds=0)
    assert await answers.keep("k", "o", "p", 60)
    assert isinstance(await answers.begin("k", "o", b"d", holder="q", seconds=60), Pending)


async def test_a_passing_failure_is_not_remembered(answers: AnswerStore) -> None:
    await answers.begin("k", "o", b"d", holder="p", seconds=60)
    await answers.forget("k", "o", "p")
    assert await answers.begin("k", "o", b"other", holder="q", seconds=60) == New(taken_over=False)


async def test_what_was_answered_cannot_be_forgotten_by_its_holder(answers: AnswerStore) -> None:
    await answers.begin("k", "o", b"d", holder="p", seconds=60)
    await answers.finish("k", "o", "p", 200, [], b"good")
    await answers.forget("k", "o", "p")
    assert isinstance(await answers.begin("k", "o", b"d", holder="q", seconds=1), Remembered)


async def test_old_answers_are_forgotten_but_not_what_is_at_work(answers: AnswerStore) -> None:
    for key, seconds in (("done", 60), ("dead", 0), ("busy", 60)):
        await answers.begin(key, "o", b"d", holder="p", seconds=seconds)
    await answers.finish("done", "o", "p", 200, [], b"")
    assert await answers.prune(at(-(10**9))) == 0
    assert await answers.prune(at(10**9)) == 2
    assert isinstance(await answers.begin("busy", "o", b"d", holder="q", seconds=1), Pending)
