"""The admin, tokens, and what becomes of those who guess."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.broker.whole import Whole

from nimbi.broker.access import ADMIN, Caller
from nimbi.broker.people import People
from nimbi.broker.throttle import FREE_FAILURES, LONGEST_PAUSE_S, pause_after
from nimbi.model.errors import Forbidden, Invalid, NotFound, Throttled, Unauthorized
from nimbi.model.tokens import NewToken, Scope
from nimbi.store.people import PeopleStore

HERE, THERE = "203.0.113.7", "203.0.113.8"
NO_ZONE = datetime(2090, 1, 1)  # noqa: DTZ001  which is what is wrong with it
PASSWORD = "correct horse"


@pytest.fixture
def people(whole: Whole) -> People:
    return whole.broker.people


async def test_a_token_is_known_by_its_secret_which_is_kept_nowhere(whole: Whole) -> None:
    people = whole.broker.people
    scope = Scope("instances.*", "aws")
    made = await people.create_token(ADMIN, NewToken(name="ci", scopes=(scope,)))
    caller = await people.caller_of(made.secret, HERE)
    assert (caller.id, caller.name, caller.scopes) == (made.token.id, "ci", (scope,))
    assert made.secret not in repr(made)
    (listed,) = await people.tokens()
    assert listed.used_at is not None
    async with whole.broker.database.reading() as connection:
        rows = await connection.exec_driver_sql("select * from tokens")
        assert made.secret not in repr(rows.all())


async def test_by_basic_the_token_is_the_password_whatever_the_user(people: People) -> None:
    made = await people.create_token(ADMIN, NewToken(name="old client"))
    caller = await people.caller_of_basic("whoever", made.secret, HERE)
    assert caller.id == made.token.id


async def test_a_revoked_token_is_none_at_once(people: People) -> None:
    made = await people.create_token(ADMIN, NewToken(name="gone"))
    await people.caller_of(made.secret, HERE)
    await people.revoke(made.token.id)
    with pytest.raises(Unauthorized, match="no such token"):
        await people.caller_of(made.secret, HERE)
    with pytest.raises(NotFound):
        await people.revoke(made.token.id)


async def test_a_token_that_has_expired_is_refused_and_still_listed(whole: Whole) -> None:
    people = whole.broker.people
    made = await people.create_token(ADMIN, NewToken(name="brief", expires_at=in_(hours=1)))
    await people.caller_of(made.secret, HERE)
    async with whole.broker.database.writing() as connection:
        await connection.exec_driver_sql("update tokens set expires_us = 1")
    with pytest.raises(Unauthorized, match="expired"):
        await People(PeopleStore(whole.broker.database)).caller_of(made.secret, HERE)
    assert [token.name for token in await people.tokens()] == ["brief"]


async def test_nobody_hands_on_more_or_longer_than_they_have(people: People) -> None:
    until = in_(hours=1)
    scope = Scope("tokens.*"), Scope("read", "aws")
    some = Caller(id="t", name="some", scopes=scope, expires_at=until)
    with pytest.raises(Forbidden):
        await people.create_token(some, NewToken(name="more"))
    for asked in (None, in_(hours=2)):
        new = NewToken(name="same", scopes=(Scope("read", "aws"),), expires_at=asked)
        assert (await people.create_token(some, new)).token.expires_at == until


@pytest.mark.parametrize(
    "new",
    [
        NewToken(name=""),
        NewToken(name="a\nb"),
        NewToken(name="past", expires_at=datetime(2020, 1, 1, tzinfo=UTC)),
        NewToken(name="where", expires_at=NO_ZONE),
        NewToken(name="none", scopes=()),
    ],
    ids=lambda new: repr(new.name),
)
async def test_a_wish_for_a_token_that_makes_no_sense_is_refused(
    people: People, new: NewToken
) -> None:
    with pytest.raises(Invalid):
        await people.create_token(ADMIN, new)


async def test_who_guesses_tokens_waits_and_others_do_not(people: People) -> None:
    good = await people.create_token(ADMIN, NewToken(name="good"))
    await people.caller_of(good.secret, HERE)
    fresh = await people.create_token(ADMIN, NewToken(name="fresh"))
    for guess in range(FREE_FAILURES):
        with pytest.raises(Unauthorized):
            await people.caller_of(f"nimbi_{guess}", HERE)
    with pytest.raises(Throttled) as slowed:
        await people.caller_of("nimbi_another", HERE)
    assert slowed.value.retry_after_s
    # Not even the right one is told to be right there, save to who has used it before.
    with pytest.raises(Throttled):
        await people.caller_of(fresh.secret, HERE)
    await people.caller_of(good.secret, HERE)
    await people.caller_of(fresh.secret, THERE)


async def test_all_addresses_of_one_customer_wait_together(people: People) -> None:
    for guess in range(FREE_FAILURES):
        with pytest.raises(Unauthorized):
            await people.caller_of("nimbi_no", f"2001:db8:1:2::{guess}")
    with pytest.raises(Throttled):
        await people.caller_of("nimbi_no", "2001:db8:1:2:ffff::1")
    with pytest.raises(Unauthorized):
        await people.caller_of("nimbi_no", "2001:db8:1:3::1")


def test_the_pause_doubles_up_to_five_minutes() -> None:
    pauses = [pause_after(FREE_FAILURES + n) for n in range(3)]
    assert pauses == [1.0, 2.0, 4.0]
    assert pause_after(FREE_FAILURES - 1) == 0.0
    assert pause_after(10_000) == LONGEST_PAUSE_S


async def test_the_admin_signs_in_by_the_password_alone(whole: Whole) -> None:
    people = whole.broker.people
    with pytest.raises(Unauthorized):
        await people.sign_in("admin", "", HERE)
    with pytest.raises(Invalid):
        await people.set_admin_password("short")
    assert not await people.has_admin()
    await people.set_admin_password(PASSWORD)
    assert await people.sign_in("admin", PASSWORD, HERE) == ADMIN
    for user, password in (("admin", "wrong horse"), ("root", PASSWORD)):
        with pytest.raises(Unauthorized, match="no such user and password"):
            await people.sign_in(user, password, HERE)
    hash = await PeopleStore(whole.broker.database).password_hash()
    assert hash is not None
    assert hash.startswith("$argon2id$")


async def test_who_guesses_the_password_waits(people: People) -> None:
    for _ in range(FREE_FAILURES):
        with pytest.raises(Unauthorized):
            await people.sign_in("admin", "guess", HERE)
    with pytest.raises(Throttled):
        await people.sign_in("admin", "guess", HERE)
    with pytest.raises(Unauthorized):
        await people.sign_in("admin", "guess", THERE)


def in_(*, hours: int) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)
