"""Accounts: kept, tested, changed, opened and forgotten, with their secrets sealed."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest
from tests.broker.whole import CREDENTIALS, Whole

from nimbi.broker.access import ADMIN, Caller
from nimbi.broker.accounts import Accounts
from nimbi.broker.credentials import credentials_of
from nimbi.driver.compute import Instances
from nimbi.drivers.ec2 import DRIVER as EC2
from nimbi.drivers.mock import DRIVER, driver_over
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.faults import Faults, Outage
from nimbi.drivers.s3 import DRIVER as S3
from nimbi.gateway.registry import AnyDriver
from nimbi.model.accounts import AccountChange, HealthState, NewAccount
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
)
from nimbi.model.instances import NewInstance
from nimbi.model.tokens import Scope
from nimbi.model.webhooks import NewWebhook
from nimbi.store.keys import new_key
from nimbi.store.sealing import Keyring

SECRET = "s3cr3t-of-a-test"


@pytest.fixture
def accounts(whole: Whole) -> Accounts:
    cloud = MockCloud()
    whole.stack.callback(cloud.close)
    whole.broker.registry.add(driver_over(cloud))
    return whole.broker.accounts


def mock(id: str = "one", **more: Any) -> NewAccount:
    return NewAccount(id=id, driver="mock", **{"credentials": CREDENTIALS, **more})


async def test_a_login_is_kept_once_its_cloud_has_taken_it(accounts: Accounts) -> None:
    made = await accounts.create(mock(tags={"team": "a"}))
    assert made == await accounts.get("one") == (await accounts.all())[0]
    assert (made.health.state, made.version, made.is_enabled) == (HealthState.OK, 1, True)
    async with accounts.use("one") as cloud:
        assert (await cloud.instances.page(None, 10)).items


async def test_a_login_that_its_cloud_refuses_is_not_kept(accounts: Accounts) -> None:
    wrong = {"user": "mockuser", "password": SECRET}
    with pytest.raises(Invalid, match="mock refuses this login") as refused:
        await accounts.create(mock(credentials=wrong))
    assert SECRET not in str(refused.value)
    assert await accounts.all() == ()
    kept = await accounts.create(mock(credentials=wrong), test=False)
    assert kept.health.state is HealthState.UNKNOWN


async def test_a_rehearsal_checks_all_and_keeps_nothing(accounts: Accounts) -> None:
    assert (await accounts.create(mock(), dry_run=True)).health.state is HealthState.OK
    assert await accounts.all() == ()


async def test_a_name_is_taken_once(accounts: Accounts) -> None:
    await accounts.create(mock())
    with pytest.raises(Conflict, match="there is an account 'one' already"):
        await accounts.create(mock())
    wishes = (accounts.create(mock("two"), test=False) for _ in range(3))
    made = await asyncio.gather(*wishes, return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in made) == 2


@pytest.mark.parametrize(
    "new",
    [
        mock("all"),
        mock("Upper"),
        mock("-dash"),
        mock("a:b"),
        mock("x" * 64),
        mock(credentials=None),
        mock(own_login=True),
        mock(provider="a\nb"),
        mock(provider=""),
        mock(tags={"": "x"}),
        mock(tags={"k": "\ud800"}),
        mock(tags={str(n): "" for n in range(51)}),
        mock(credentials={}),
        mock(credentials={"user": "u"}),
        mock(credentials={"user": "u", "password": SECRET, "passwort": SECRET}),
        mock(credentials={"user": ["u"], "password": SECRET}),
        mock(credentials={"user": "u", "password": SECRET + "\ud800"}),
        msgspec.structs.replace(mock(), driver="nimbi"),
        msgspec.structs.replace(mock(), driver="planet"),
        mock(credentials=None, own_login=True),
    ],
)
async def test_what_can_be_no_account_is_refused_without_repeating_it(
    accounts: Accounts, new: NewAccount
) -> None:
    with pytest.raises(Invalid) as refused:
        await accounts.create(new)
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(new)


def test_what_is_wrong_with_a_login_is_told_by_its_field() -> None:
    for given, words in (
        ({"user": "u"}, "missing required field `password`"),
        ({"user": 5, "password": SECRET}, r"Expected `str`, got `int` at `\$.user`"),
        ({"user": "u", "password": SECRET, "tokn": "x"}, "has the fields password, token, user"),
    ):
        with pytest.raises(Invalid, match=words) as refused:
            credentials_of(EC2, given)
        assert SECRET not in str(refused.value)


async def test_a_value_that_its_kind_would_repeat_is_not_shown() -> None:
    class Odd(msgspec.Struct, frozen=True):
        kind: bool | None = None
        when: datetime | None = None

    driver: AnyDriver = replace(DRIVER, credentials=Odd)
    with pytest.raises(Invalid) as refused:
        credentials_of(driver, {"when": SECRET})
    assert SECRET not in str(refused.value)


async def test_secrets_are_in_no_record_repr_or_log(
    whole: Whole, accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await accounts.create(mock(credentials={"user": "u", "password": SECRET}), test=False)
    await accounts.test("one")
    with pytest.raises(Unauthorized):
        async with accounts.use("one") as cloud:
            await cloud.verify()
    async with whole.broker.database.reading() as connection:
        stored = (await connection.exec_driver_sql("select * from accounts")).all()
    told = [repr(each) for each in (stored, await accounts.all(), accounts, whole.broker)]
    assert not [each for each in (*told, caplog.text) if SECRET in each]


async def test_a_login_sealed_for_one_account_opens_no_other(
    whole: Whole, accounts: Accounts
) -> None:
    await accounts.create(mock())
    await accounts.create(mock("two"), test=False)
    async with whole.broker.database.writing() as connection:
        await connection.exec_driver_sql(
            "update accounts set sealed = (select sealed from accounts where id = 'one')"
        )
    with pytest.raises(CloudError, match="account/two cannot be opened"):
        async with accounts.use("two"):
            pass


async def test_a_new_key_counts_at_once_and_an_old_one_is_needed_no_more(
    whole: Whole, accounts: Accounts
) -> None:
    await accounts.create(mock())
    keyring = whole.broker.keyring
    old, new = keyring.keys, Keyring.of(new_key()).keys
    object.__setattr__(keyring, "keys", {**new, **old})
    assert await whole.broker.reseal() == 1
    assert await whole.broker.reseal() == 0
    object.__setattr__(keyring, "keys", new)
    assert (await accounts.test("one")).health.state is HealthState.OK


async def test_a_change_is_made_to_the_version_that_was_read(accounts: Accounts) -> None:
    made = await accounts.create(mock())
    changed = await accounts.change("one", AccountChange(tags={"a": "b"}), version=made.version)
    assert (changed.tags, changed.version) == ({"a": "b"}, 2)
    with pytest.raises(Conflict, match="changed meanwhile"):
        await accounts.change("one", AccountChange(is_enabled=False), version=made.version)
    assert (await accounts.get("one")).is_enabled


async def test_a_login_is_tested_before_it_replaces_the_old_one(accounts: Accounts) -> None:
    await accounts.create(mock())
    with pytest.raises(Invalid, match="refuses this login"):
        await accounts.change("one", AccountChange(credentials={"user": "x", "password": "y"}))
    async with accounts.use("one") as cloud:
        await cloud.verify()
    wrong = AccountChange(credentials={"user": "x", "password": "y"})
    await accounts.change("one", wrong, test=False)
    with pytest.raises(Unauthorized):
        async with accounts.use("one") as cloud:
            await cloud.verify()


async def test_a_stored_login_is_not_sent_to_another_address_than_it_was_given_for(
    whole: Whole,
) -> None:
    accounts = whole.broker.accounts
    whole.broker.registry.add(S3)
    keys = {"user": "k", "password": SECRET}
    new = NewAccount(id="s", driver="s3", provider="https://93.184.216.34", credentials=keys)
    await accounts.create(new, test=False)
    elsewhere = AccountChange(provider="https://93.184.216.35")
    with pytest.raises(Invalid, match="credentials have to be told again"):
        await accounts.change("s", elsewhere, test=False)
    again = msgspec.structs.replace(elsewhere, credentials=keys)
    assert (await accounts.change("s", again, test=False)).provider == elsewhere.provider


async def test_an_account_names_no_address_of_this_machine_and_none_is_called(
    whole: Whole,
) -> None:
    accounts = whole.broker.accounts
    whole.broker.registry.add(S3)
    keys = {"user": "k", "password": SECRET}
    new = NewAccount(id="s", driver="s3", provider="http://127.0.0.1:9", credentials=keys)
    with pytest.raises(Forbidden, match="private_endpoints"):
        await accounts.create(new)
    # As if a name had stood for another address when it was stored.
    kept = msgspec.structs.replace(new, provider="https://93.184.216.34")
    await accounts.create(kept, test=False)
    async with whole.broker.database.writing() as connection:
        await connection.exec_driver_sql(
            "update accounts set provider = 'http://localhost:9', version = 2"
        )
    with pytest.raises(CloudUnavailable, match="may not be called"):
        async with accounts.use("s") as cloud:
            await cloud.within(2).verify()


async def test_a_disabled_account_opens_nothing(accounts: Accounts) -> None:
    await accounts.create(mock())
    async with accounts.use("one"):
        pass
    await accounts.change("one", AccountChange(is_enabled=False))
    with pytest.raises(Conflict, match="is disabled"):
        async with accounts.use("one"):
            pass


async def test_health_tells_since_when_and_why(whole: Whole) -> None:
    accounts = whole.broker.accounts
    await whole.add("one")
    cloud = whole.clouds["one"]
    well = (await accounts.test("one")).health
    assert (well.state, well.problem) == (HealthState.OK, None)
    assert (await accounts.test("one")).health.since == well.since
    cloud.faults = Faults(outage=Outage())
    ill = (await accounts.test("one")).health
    assert ill.state is HealthState.FAILED
    assert ill.problem is not None
    assert ill.since is not None
    assert well.since is not None
    assert ill.since > well.since


async def test_a_call_that_fails_for_the_account_is_told_in_its_health(whole: Whole) -> None:
    await whole.add("one")
    wrong = AccountChange(credentials={"user": "x", "password": "y"})
    await whole.broker.accounts.change("one", wrong, test=False)
    with pytest.raises(Unauthorized):
        async with whole.broker.use(ADMIN, "one"):
            pass
    health = (await whole.broker.accounts.get("one")).health
    assert health.problem is not None
    assert health.problem.code == "unauthorized"


async def test_an_account_that_things_depend_on_stays(whole: Whole) -> None:
    accounts = whole.broker.accounts
    await whole.add("one")
    async with whole.broker.use(ADMIN, "one") as cloud:
        made = await cloud.instances.create(NewInstance(image_id="img1"))
    with pytest.raises(Conflict, match=f"instances {made.id}"):
        await accounts.destroy("one")
    async with whole.broker.use(ADMIN, "one") as cloud:
        await cloud.instances.stop(made.id)
        await cloud.instances.destroy(made.id)
    await accounts.destroy("one", dry_run=True)
    await accounts.destroy("one")
    with pytest.raises(NotFound):
        async with accounts.use("one"):
            pass
    with pytest.raises(NotFound):
        await accounts.destroy("one")


async def test_an_account_that_a_webhook_names_stays_unless_forced(whole: Whole) -> None:
    await whole.add("one")
    hook = NewWebhook(url="https://93.184.216.34/hook", accounts=("one",))
    await whole.broker.webhooks.create(hook)
    with pytest.raises(Conflict, match="the webhook wh_"):
        await whole.broker.accounts.destroy("one")
    await whole.broker.accounts.destroy("one", force=True)


async def test_what_a_caller_may_not_do_never_reaches_the_cloud(whole: Whole) -> None:
    await whole.add("one")
    reader = Caller(id="t", name="reader", scopes=(Scope("read", "one"),))
    async with whole.broker.use(reader, "one") as cloud:
        things = await cloud.instances.page(None, 10)
        with pytest.raises(Forbidden, match=r"reader may not do instances\.stop"):
            await cloud.instances.stop(things.items[0].id)
        assert (await cloud.within(5).instances.page(None, 10)).items == things.items
        with pytest.raises(Forbidden):
            await cloud.within(5).call(Instances.stop, things.items[0].id)


async def test_what_was_made_is_written_down_with_its_end(whole: Whole) -> None:
    await whole.add("one")
    async with whole.broker.use(ADMIN, "one") as cloud:
        made = await cloud.instances.create(NewInstance(image_id="img1", token="t-1"))
        with pytest.raises(Invalid):
            await cloud.instances.create(NewInstance(image_id="none", token="t-2"))
    intents = whole.broker.intents
    assert [(i.token, i.thing_id) for i in await intents.made("one")] == [("t-1", made.id)]
    assert await intents.count_open("one") == 0
