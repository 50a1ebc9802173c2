"""Settings, credentials and events of clouds."""

import msgspec
import pytest

from nimbi.driver.interface import UserAndPassword
from nimbi.gateway.audit import CallEvent, Hooks
from nimbi.gateway.clouds import credentials_from_basic
from nimbi.gateway.registry import UnknownDriver
from nimbi.model.errors import CloudError, Invalid

ANN = UserAndPassword("ann", "hunter2")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"size": "large"}, r"settings of scripted are wrong: .*int.*\$\.size"),
        ({"sise": 1}, "unknown field `sise`"),
        ({"calls": {"deadline_s": 0}}, r"settings of scripted\.calls are wrong"),
        ({"calls": {"retries": 1}}, "unknown field `retries`"),
        ({"calls": 5}, r"scripted\.calls"),
    ],
)
async def test_wrong_settings_are_told_by_place_and_kind(make_clouds, script, settings, text):
    clouds = make_clouds(settings={"scripted": settings})
    with pytest.raises(CloudError, match=text):
        async with clouds.use("scripted", None, ANN):
            pass
    assert script.accounts == []


async def test_settings_of_calls_are_no_settings_of_the_driver(make_clouds):
    clouds = make_clouds(settings={"scripted": {"size": 2, "calls": {"attempts": 1}}})
    assert clouds.settings("scripted").size == 2
    assert clouds.limits("scripted").attempts == 1


async def test_an_unknown_driver_cannot_be_used(make_clouds):
    with pytest.raises(UnknownDriver, match="there is no driver 'ec3'; there are: scripted"):
        async with make_clouds().use("ec3", None, ANN):
            pass


@pytest.mark.parametrize(
    ("provider", "login"), [("\ud800", ANN), (None, UserAndPassword("\udfff", "x"))]
)
async def test_text_that_is_no_unicode_is_invalid(make_clouds, provider, login):
    with pytest.raises(Invalid, match="no Unicode text"):
        make_clouds().use("scripted", provider, login)


async def test_events_tell_sessions_apart_without_telling_credentials(make_clouds):
    told: list[CallEvent] = []
    clouds = make_clouds(hooks=Hooks(told.append))
    for login in (ANN, ANN, UserAndPassword("bob", "b")):
        async with clouds.use("scripted", "eu", login) as cloud:
            await cloud.instances.get("i-1")
    first, second, third = (event.session for event in told)
    assert first == second != third
    assert {event.provider for event in told} == {"eu"}
    assert "hunter2" not in repr(told)


async def test_the_digest_of_a_session_differs_between_processes(make_clouds):
    told: list[CallEvent] = []
    for _ in range(2):
        async with make_clouds(hooks=Hooks(told.append)).use("scripted", None, ANN) as cloud:
            await cloud.instances.get("i-1")
    assert told[0].session != told[1].session


async def test_a_cloud_without_a_login_of_its_own_has_none(make_clouds):
    assert make_clouds().own_login("scripted") is None


async def test_a_use_that_was_never_entered_can_be_left(make_clouds):
    lease = make_clouds().use("scripted", None, ANN)
    assert await lease.__aexit__(None, None, None) is None


class Token(msgspec.Struct):
    token: str


class Wide(msgspec.Struct, kw_only=True, rename="camel"):
    access_key: str
    secret_key: str
    region: str = "eu"


class Wider(msgspec.Struct):
    user: str
    password: str
    tenant: str


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (UserAndPassword, UserAndPassword("u", "p")),
        (Token, Token("p")),
        (Wide, Wide(access_key="u", secret_key="p")),
    ],
)
def test_user_and_password_become_the_drivers_credentials(make_driver, kind, made):
    assert credentials_from_basic(make_driver(credentials=kind), "u", "p") == made


def test_a_login_that_needs_more_than_user_and_password_is_invalid(make_driver):
    with pytest.raises(Invalid, match=r"no full login to scripted: .*tenant") as raised:
        credentials_from_basic(make_driver(credentials=Wider), "u", "hunter2")
    assert "hunter2" not in raised.value.message
