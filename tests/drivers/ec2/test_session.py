"""Calls of a session: signed, read, repeated where that is safe, and what a lost answer means."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.drivers.ec2.conftest import LOGIN
from tests.drivers.ec2.services import Asked, Aws, dropped, failing, good, serving

from nimbi.driver.capabilities import INTERFACES
from nimbi.driver.interface import Account, Place
from nimbi.drivers.ec2.calls import OBJECT_CHANGE, OBJECT_READ, READ, family_of
from nimbi.drivers.ec2.endpoints import SERVICES
from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.login import OwnLogin
from nimbi.drivers.ec2.objects.client import Call
from nimbi.drivers.ec2.query import items, text
from nimbi.drivers.ec2.session import SERVICE_OF, Session, Settings, narrow, open_session, start
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Forbidden,
    Invalid,
    Throttled,
    Unauthorized,
    UnknownOutcome,
    Unsupported,
)
from nimbi.wire.times import seconds

NOWHERE = "http://127.0.0.1:9"


@asynccontextmanager
async def login_to(
    url: str, folder: Path, credentials: Any = LOGIN, region: str = "eu-west-1"
) -> AsyncIterator[Session]:
    async with (
        start(Settings(endpoint_url=url), Place(folder)) as backend,
        open_session(backend, Account(credentials, region)) as session,
    ):
        yield session


@pytest.fixture
async def aws() -> AsyncIterator[Aws]:
    async with serving(lambda _: good()) as aws:
        yield aws


@pytest.fixture
async def session_there(aws: Aws, tmp_path: Path) -> AsyncIterator[Session]:
    async with login_to(aws.url, tmp_path) as session:
        yield session


def in_turn(*answers: Any) -> Any:
    """Return a handler that gives these answers one after the other."""
    rest: Iterator[Any] = iter(answers)
    return lambda _asked: next(rest)


async def test_moto_tells_its_regions(session: Session) -> None:
    root = await session.ec2("DescribeRegions")
    assert "eu-west-1" in [text(item, "regionName") for item in items(root, "regionInfo/item")]


async def test_other_services_give_their_result(session: Session) -> None:
    assert items(await session.elb("DescribeLoadBalancers"), "LoadBalancers/member") == []
    assert items(await session.cloudwatch("ListMetrics"), "Metrics/member") == []
    assert text(await session.sts("GetCallerIdentity"), "Account") == "123456789012"


async def test_a_call_is_a_signed_form(session_there: Session, aws: Aws) -> None:
    await session_there.ec2("DescribeVpcs", {"VpcId": ["vpc-1"], "Note": "a b&c"})
    [asked] = aws.asked
    assert asked.form == {
        "Action": "DescribeVpcs",
        "Version": "2016-11-15",
        "VpcId.1": "vpc-1",
        "Note": "a b&c",
    }
    assert asked.request.method == "POST"
    told = asked.request.headers["Authorization"]
    assert f"Credential={LOGIN.user}/" in told
    assert "/eu-west-1/ec2/aws4_request" in told


async def test_other_services_are_signed_for_by_their_own_names(
    session_there: Session, aws: Aws
) -> None:
    await session_there.elb("DescribeLoadBalancers", {"Names": ["a"]})
    await session_there.cloudwatch("ListMetrics")
    scopes = [asked.request.headers["Authorization"].split("/")[3] for asked in aws.asked]
    assert scopes == ["elasticloadbalancing", "monitoring"]
    assert [asked.form["Version"] for asked in aws.asked] == ["2015-12-01", "2010-08-01"]
    assert aws.asked[0].form["Names.member.1"] == "a"


async def test_without_a_login_nothing_is_sent(aws: Aws, tmp_path: Path) -> None:
    async with login_to(aws.url, tmp_path, None) as session:
        with pytest.raises(Unauthorized):
            await session.ec2("DescribeVpcs")
    assert aws.asked == []


async def test_an_error_has_its_code_and_words(session_there: Session, aws: Aws) -> None:
    aws.handler = lambda _: failing("InvalidVpcID.NotFound", 400, "no vpc-1", Retry_After="3")
    with pytest.raises(AwsError) as raised:
        await session_there.ec2("DescribeVpcs")
    error = raised.value
    assert (error.code, error.message, error.status) == ("InvalidVpcID.NotFound", "no vpc-1", 400)
    assert (error.request_id, error.retry_after_s) == ("r-1", 3)


@pytest.mark.parametrize(
    "body",
    [
        '<ErrorResponse xmlns="x"><Error><Type>Sender</Type><Code>C</Code><Message>m</Message>'
        "</Error><RequestId>r</RequestId></ErrorResponse>",
        "<Error><Code>C</Code><Message>m</Message><RequestId>r</RequestId></Error>",
    ],
)
async def test_errors_of_other_services_are_read(
    session_there: Session, aws: Aws, body: str
) -> None:
    aws.handler = lambda _: web.Response(status=400, text=body)
    with pytest.raises(AwsError) as raised:
        await session_there.elb("DescribeLoadBalancers")
    assert (raised.value.code, raised.value.message, raised.value.request_id) == ("C", "m", "r")


@pytest.mark.parametrize("body", ["<html><br></html>", "", "no XML", "<Response/>"])
async def test_an_error_that_is_none_of_aws_s_has_no_code(
    session_there: Session, aws: Aws, body: str
) -> None:
    aws.handler = lambda _: web.Response(status=502, text=body)
    with pytest.raises(AwsError) as raised:
        await session_there.ec2("DescribeVpcs")
    assert (raised.value.code, raised.value.status) == ("", 502)


@pytest.mark.parametrize(("changes", "kind"), [(True, UnknownOutcome), (False, CloudUnavailable)])
async def test_a_lost_answer_to_a_change_may_have_done_it(
    session_there: Session, aws: Aws, changes: bool, kind: type[CloudError]
) -> None:
    aws.handler = dropped
    with pytest.raises(kind):
        await session_there.ec2("CreateVpc", changes=changes)


@pytest.mark.parametrize(("changes", "kind"), [(True, UnknownOutcome), (False, CloudUnavailable)])
@pytest.mark.parametrize("body", ["<Answer><vpcId>vpc-", "", "\x00", "<!DOCTYPE a []><a/>"])
async def test_an_answer_cut_short_is_a_lost_one(
    session_there: Session, aws: Aws, body: str, changes: bool, kind: type[CloudError]
) -> None:
    aws.handler = lambda _: web.Response(text=body)
    with pytest.raises(kind):
        await session_there.ec2("CreateVpc", changes=changes)


async def test_what_never_arrived_was_not_done(tmp_path: Path) -> None:
    async with login_to(NOWHERE, tmp_path) as session:
        with pytest.raises(CloudUnavailable):
            await session.ec2("CreateVpc", changes=True)


async def test_a_login_that_no_header_can_carry_is_refused(aws: Aws, tmp_path: Path) -> None:
    credentials = type(LOGIN)("AKIA\r\nX-Evil: 1", "secret")
    async with login_to(aws.url, tmp_path, credentials) as session:
        with pytest.raises(CloudError) as raised:
            await session.ec2("DescribeVpcs")
    assert "Evil" not in str(raised.value)
    assert aws.asked == []


async def test_a_redirect_is_not_followed(session_there: Session, aws: Aws) -> None:
    aws.handler = lambda _: web.Response(status=307, headers={"Location": "http://127.0.0.1:9/"})
    with pytest.raises(AwsError):
        await session_there.ec2("DescribeVpcs")
    assert len(aws.asked) == 1


async def test_the_account_s_number_is_asked_for_once(session_there: Session, aws: Aws) -> None:
    aws.handler = lambda _: web.Response(
        text="<R><GetCallerIdentityResult><Account>12</Account></GetCallerIdentityResult></R>"
    )
    found = await asyncio.gather(*(session_there.owner_id() for _ in range(10)))
    assert set(found) == {"12"}
    assert aws.actions == ["GetCallerIdentity"]


async def test_throttling_closes_the_budget_of_its_family(session_there: Session, aws: Aws) -> None:
    aws.handler = lambda _: failing("RequestLimitExceeded", 503)
    with pytest.raises(AwsError):
        await session_there.ec2("DescribeVpcs")
    budgets = session_there.backend.budgets
    assert budgets.rate_per_s((*session_there.key, "ec2", READ)) is not None
    assert budgets.rate_per_s((*session_there.key, "elb", READ)) is None
    assert budgets.rate_per_s((*session_there.at("us-east-1").key, "ec2", READ)) is None


async def test_too_many_calls_of_a_throttled_family_are_refused_here(
    session_there: Session, aws: Aws
) -> None:
    aws.handler = lambda _: failing("RequestLimitExceeded", 503, Retry_After="30")
    with pytest.raises(AwsError):
        await session_there.ec2("RunInstances", changes=True)
    with pytest.raises(Throttled) as raised:
        await session_there.ec2("RunInstances", changes=True)
    assert raised.value.retry_after_s == pytest.approx(30, abs=5)
    assert len(aws.asked) == 1


async def test_a_throttled_store_has_a_budget_of_its_own(session_there: Session, aws: Aws) -> None:
    text = "<Error><Code>SlowDown</Code><Message>m</Message></Error>"
    aws.handler = lambda _: web.Response(status=503, text=text)
    with pytest.raises(Throttled):
        await session_there.objects.send(Call("GET", "the bucket", "bucket"))
    budgets = session_there.backend.budgets
    assert budgets.rate_per_s((*session_there.key, "s3", OBJECT_READ)) is not None
    assert budgets.rate_per_s((*session_there.key, "s3", OBJECT_CHANGE)) is None


@pytest.mark.parametrize(
    ("action", "family"),
    [
        ("DescribeInstances", "read"),
        ("GetConsoleOutput", "read"),
        ("RunInstances", "launch"),
        ("CreateVpc", "change"),
    ],
)
def test_actions_have_families(action: str, family: str) -> None:
    assert family_of(action) == family


async def test_keys_that_are_over_are_fetched_anew_and_the_call_made_again(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKOLD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")

    def handler(asked: Asked) -> web.Response:
        if "AKOLD" in asked.request.headers["Authorization"]:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKNEW")
            return failing("ExpiredToken")
        return good("<vpcId>v</vpcId>")

    aws.handler = handler
    async with login_to(aws.url, tmp_path, OwnLogin()) as session:
        assert text(await session.ec2("CreateVpc", changes=True), "vpcId") == "v"
    assert len(aws.asked) == 2


async def test_keys_that_are_wrong_are_tried_once(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    aws.handler = lambda _: failing("AuthFailure", 401)
    async with login_to(aws.url, tmp_path, OwnLogin()) as session:
        with pytest.raises(AwsError):
            await session.ec2("DescribeVpcs")
    assert len(aws.asked) == 1


async def test_a_wrong_clock_is_put_right_by_the_server_s(session_there: Session, aws: Aws) -> None:
    there = datetime.now(UTC) + timedelta(hours=3)

    def handler(asked: Asked) -> web.Response:
        signed_at = datetime.strptime(asked.request.headers["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
        if abs(signed_at - there) > timedelta(minutes=5):
            return failing("RequestExpired", 400, Date=format_datetime(there, usegmt=True))
        return good()

    aws.handler = handler
    await session_there.ec2("DescribeVpcs")
    await session_there.ec2("DescribeVpcs")
    assert len(aws.asked) == 3


async def test_a_region_that_was_not_asked_for_is_no_wrong_login(aws: Aws, tmp_path: Path) -> None:
    told = (
        "<regionInfo><item><regionName>af-south-1</regionName>"
        "<optInStatus>not-opted-in</optInStatus></item></regionInfo>"
    )

    def handler(asked: Asked) -> web.Response:
        if "/us-east-1/ec2/" in asked.request.headers["Authorization"]:
            assert asked.form["AllRegions"] == "true"
            return good(told)
        return failing("AuthFailure", 401)

    aws.handler = handler
    async with login_to(aws.url, tmp_path, region="af-south-1") as session:
        with pytest.raises(Forbidden, match="af-south-1"):
            await session.ec2("DescribeVpcs")
    async with login_to(aws.url, tmp_path, region="eu-west-1") as session:
        with pytest.raises(AwsError):
            await session.ec2("DescribeVpcs")


async def test_a_private_region_has_only_the_services_that_are_named(
    aws: Aws, tmp_path: Path
) -> None:
    settings = Settings(endpoint_urls={"s3": aws.url})
    async with (
        start(settings, Place(tmp_path)) as backend,
        open_session(backend, Account(LOGIN, "garage")) as session,
    ):
        with pytest.raises(Unsupported):
            await session.ec2("DescribeVpcs")
        assert narrow(session) == {"buckets", "blobs"}


def test_each_collection_needs_a_service_that_is_known() -> None:
    assert set(SERVICE_OF) <= {interface.name for interface in INTERFACES}
    assert set(SERVICE_OF.values()) <= SERVICES.keys()


async def test_an_unknown_region_is_refused_at_login(tmp_path: Path) -> None:
    async with start(Settings(), Place(tmp_path)) as backend:
        opening = open_session(backend, Account(LOGIN, "garage"))
        with pytest.raises(Invalid):
            await opening.__aenter__()


async def test_who_knows_the_id_of_a_key_only_sees_nothing_that_is_kept(
    session_there: Session,
) -> None:
    other = Account(type(LOGIN)(LOGIN.user, "another secret"), "eu-west-1")
    async with open_session(session_there.backend, other) as session:
        assert session.key != session_there.key
    async with open_session(session_there.backend, Account(LOGIN, "eu-west-1")) as session:
        assert session.key == session_there.key
        assert LOGIN.user not in str(session.key)


async def test_files_that_cannot_be_read_stop_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CloudError, match="certificates"):
        async with start(Settings(ca_file=str(tmp_path / "nothing")), Place(tmp_path)):
            pass
    (tmp_path / "config").write_text("aws_secret_access_key = hidden\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(CloudError) as raised:
        async with start(Settings(), Place(tmp_path)):
            pass
    assert "hidden" not in repr(raised.value)


@pytest.mark.parametrize(
    ("told", "found"), [(None, None), ("", None), ("12", 12), ("soon", None), ("-1", None)]
)
def test_retry_after_is_read(told: str | None, found: float | None) -> None:
    assert seconds(told) == found


def test_retry_after_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert seconds(later) == pytest.approx(60, abs=5)
    assert seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
