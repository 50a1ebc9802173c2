"""Checking of signatures that botocore, AWS's examples and we ourselves made."""

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.any_request import (
    HEADERS,
    HOSTS,
    METHODS,
    NOW,
    QUERIES,
    SEGMENTS,
    TOKENS,
    by_botocore,
    url_of,
)
from tests.wire.aws_examples import S3_AT, S3_EXAMPLES, S3_KEYS, SUITE, SUITE_AT, SUITE_KEYS

from nimbi.wire import sigv4
from nimbi.wire.sigv4 import EMPTY_SHA256, Keys, Scope
from nimbi.wire.sigv4_claims import (
    Claim,
    MalformedSignature,
    NotSigned,
    OutOfTime,
    Received,
    SignatureError,
    UnknownKey,
    WrongPayload,
    WrongSignature,
    claim_of,
    verify,
)

ALL = frozenset({"s3", "ec2", "service"})
S3_HOST = "examplebucket.s3.amazonaws.com"


def received(method: str, url: str, headers: dict[str, str]) -> Received:
    host, path, query = sigv4.split(url)
    sent = headers if "host" in {name.lower() for name in headers} else {"Host": host, **headers}
    return Received(method, path, query, tuple(sent.items()))


def check(
    request: Received,
    keys: Keys,
    now: datetime,
    body: bytes = b"",
) -> Claim:
    def keys_of(access_key_id: str) -> Keys | None:
        return keys if access_key_id == keys.access_key_id else None

    hashed = sha256(body).hexdigest()
    return verify(request, keys_of, services=ALL, now=now, body_sha256=hashed)


@pytest.mark.parametrize("name", SUITE)
def test_signatures_of_awss_test_suite_are_accepted(name: str) -> None:
    method, target, headers, body, signature = SUITE[name]
    names = sorted({"host", "x-amz-date", *(n.lower() for n in headers)})
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    sent = {**headers, "X-Amz-Date": "20150830T123600Z", "Authorization": authorization}
    keys = replace(SUITE_KEYS, session_token=headers.get("x-amz-security-token"))
    claim = check(
        received(method, f"https://example.amazonaws.com{target}", sent), keys, SUITE_AT, body
    )
    assert claim.scope == Scope("us-east-1", "service")


@pytest.mark.parametrize("name", S3_EXAMPLES)
def test_signatures_of_s3s_documentation_are_accepted(name: str) -> None:
    method, target, headers, body, signature = S3_EXAMPLES[name]
    hashed = sha256(body).hexdigest()
    names = sorted({"host", "x-amz-date", "x-amz-content-sha256", *(n.lower() for n in headers)})
    # Printed there without blanks after the commas.
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={';'.join(names)},Signature={signature}"
    )
    sent = {
        **headers,
        "x-amz-date": "20130524T000000Z",
        "x-amz-content-sha256": hashed,
        "Authorization": authorization,
    }
    assert check(received(method, f"https://{S3_HOST}{target}", sent), S3_KEYS, S3_AT, body)


def documented_link() -> Received:
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    return Received("GET", "/test.txt", query, (("Host", S3_HOST),))


@pytest.mark.parametrize("hours", [0, 12, 24])
def test_the_link_of_s3s_documentation_is_accepted_for_its_day(hours: int) -> None:
    assert check(documented_link(), S3_KEYS, S3_AT + timedelta(hours=hours))


@pytest.mark.parametrize("hours", [-1, 24.1, 48])
def test_a_link_is_refused_before_and_after_its_time(hours: float) -> None:
    with pytest.raises(OutOfTime):
        check(documented_link(), S3_KEYS, S3_AT + timedelta(hours=hours))


@given(METHODS, HOSTS, SEGMENTS, QUERIES, HEADERS, st.binary(max_size=64), TOKENS, st.booleans())
def test_what_botocore_signs_is_accepted_and_nothing_else(
    method: str,
    host: str,
    segments: list[str],
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    token: str | None,
    is_s3: bool,
) -> None:
    url = url_of(host, segments, query)
    signer = (botocore.auth.S3SigV4Auth if is_s3 else botocore.auth.SigV4Auth)(
        Credentials("AKID", "secret", token), "s3" if is_s3 else "ec2", "eu-west-1"
    )
    sent = by_botocore(signer, AWSRequest(method, url, headers=dict(headers), data=body)).headers
    request = received(method, url, dict(sent.items()))
    keys = Keys("AKID", "secret", token)
    assert check(request, keys, NOW, body).access_key_id == "AKID"

    for changed in (
        replace(request, method="TRACE"),
        replace(request, path=request.path + "x"),
        replace(request, query=request.query + "&x=y"),
        replace(request, headers=tuple((n, v + "x") for n, v in request.headers if n == "Host")),
    ):
        with pytest.raises(SignatureError):
            check(changed, keys, NOW, body)
    with pytest.raises(WrongSignature):
        check(request, replace(keys, secret_access_key="another"), NOW, body)
    with pytest.raises((WrongPayload, WrongSignature)):
        check(request, keys, NOW, body + b"x")


@given(HOSTS, SEGMENTS, TOKENS, st.booleans())
def test_links_of_botocore_are_accepted(
    host: str, segments: list[str], token: str | None, is_s3: bool
) -> None:
    signer = (botocore.auth.S3SigV4QueryAuth if is_s3 else botocore.auth.SigV4QueryAuth)(
        Credentials("AKID", "secret", token), "s3" if is_s3 else "ec2", "eu-west-1", 60
    )
    url = by_botocore(signer, AWSRequest("GET", url_of(host, segments, [("a b", "/")]))).url
    claim = check(received("GET", url, {}), Keys("AKID", "secret", token), NOW)
    assert (claim.link_seconds, claim.session_token) == (60, token)


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=60))
def test_no_rubbish_is_accepted_or_breaks_the_check(header: str, query: str, date: str) -> None:
    headers = (("Authorization", f"AWS4-HMAC-SHA256 {header}"), ("X-Amz-Date", date))
    for request in (
        Received("GET", "/", "", headers),
        Received("GET", "/", f"X-Amz-Signature=x&{query}", ()),
    ):
        with pytest.raises(SignatureError):
            check(request, S3_KEYS, S3_AT)


def signed_request(**changes: str) -> Received:
    """A good request to S3; `changes` replace headers afterwards."""
    url = f"https://{S3_HOST}/a"
    scope = Scope("us-east-1", "s3")
    sent = sigv4.signed("GET", url, {}, EMPTY_SHA256, S3_KEYS, scope, S3_AT, normalise=False)
    return received("GET", url, sent | {n.replace("_", "-"): v for n, v in changes.items()})


def authorization_of(request: Received) -> str:
    return dict(request.headers)["Authorization"]


def test_a_request_without_a_signature_is_not_signed() -> None:
    for headers in ((), (("Authorization", "Basic YTpi"),)):
        with pytest.raises(NotSigned):
            claim_of(Received("GET", "/", "", headers), services=ALL)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_off_by_more_than_a_quarter_of_an_hour_is_told(minutes: int) -> None:
    with pytest.raises(OutOfTime, match="20130524T000000Z"):
        check(signed_request(), S3_KEYS, S3_AT + timedelta(minutes=minutes))


def test_an_unknown_access_key_is_told_apart_from_a_wrong_secret() -> None:
    with pytest.raises(UnknownKey):
        check(signed_request(), replace(S3_KEYS, access_key_id="AKIAOTHER"), S3_AT)
    with pytest.raises(WrongSignature):
        check(signed_request(), replace(S3_KEYS, secret_access_key="x"), S3_AT)


def test_a_missing_or_foreign_session_token_makes_the_key_unknown() -> None:
    with pytest.raises(UnknownKey):
        check(signed_request(), replace(S3_KEYS, session_token="token"), S3_AT)


def test_a_header_of_amazons_that_is_not_signed_is_refused() -> None:
    with pytest.raises(MalformedSignature, match="x-amz-acl"):
        check(signed_request(x_amz_acl="public-read"), S3_KEYS, S3_AT)


def test_a_signature_for_another_service_is_refused() -> None:
    with pytest.raises(MalformedSignature, match="ec2"):
        claim_of(signed_request(), services=frozenset({"ec2"}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("20130524/", "20130525/"),
        ("/aws4_request", "/aws5_request"),
        ("host;", ""),
        ("SignedHeaders=host;", "SignedHeaders=x-amz-date;host;"),
        ("SignedHeaders=", "SignedHeaders=accept;"),
        ("Signature=", "Signature=0"),
        (", Signature=", ", Credential="),
        ("Credential=", "Credentials="),
        ("SignedHeaders=host", "SignedHeaders=Host"),
    ],
)
def test_a_malformed_authorization_is_told(old: str, new: str) -> None:
    broken = authorization_of(signed_request()).replace(old, new)
    with pytest.raises(MalformedSignature):
        check(signed_request(Authorization=broken), S3_KEYS, S3_AT)


def test_a_header_and_a_link_at_once_are_refused() -> None:
    both = replace(documented_link(), headers=signed_request().headers)
    with pytest.raises(MalformedSignature, match="another"):
        check(both, S3_KEYS, S3_AT)


def test_a_parameter_of_the_signature_twice_is_refused() -> None:
    link = documented_link()
    with pytest.raises(MalformedSignature, match="twice"):
        check(replace(link, query=link.query + "&X-Amz-Expires=604800"), S3_KEYS, S3_AT)


@pytest.mark.parametrize("seconds", ["0", "604801", "-1", "1e9", "", "٣"])
def test_a_link_for_longer_than_a_week_is_refused(seconds: str) -> None:
    link = documented_link()
    query = link.query.replace("Expires=86400", f"Expires={seconds}")
    with pytest.raises(MalformedSignature, match="604800"):
        check(replace(link, query=query), S3_KEYS, S3_AT)


def test_a_body_that_is_streamed_is_left_to_be_compared_later() -> None:
    url = f"https://{S3_HOST}/a"
    hashed = sha256(b"later").hexdigest()
    scope = Scope("us-east-1", "s3")
    sent = sigv4.signed("PUT", url, {}, hashed, S3_KEYS, scope, S3_AT, normalise=False)
    claim = verify(received("PUT", url, sent), lambda _: S3_KEYS, services=ALL, now=S3_AT)
    assert claim.payload_sha256 == hashed


def test_a_path_that_a_client_sends_less_encoded_than_it_signed_is_accepted() -> None:
    url = f"https://{S3_HOST}/a%28b%29%2Bc"
    scope = Scope("us-east-1", "s3")
    sent = sigv4.signed("GET", url, {}, EMPTY_SHA256, S3_KEYS, scope, S3_AT, normalise=False)
    assert urlsplit(url).path == "/a%28b%29%2Bc"
    assert check(received("GET", f"https://{S3_HOST}/a(b)+c", sent), S3_KEYS, S3_AT)


def test_headers_sent_twice_are_signed_joined_by_a_comma() -> None:
    name, (method, target, headers, _, signature) = next(
        (k, v) for k, v in SUITE.items() if k == "get-header-key-duplicate"
    )
    assert headers["My-Header1"] == "value2,value2,value1", name
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;my-header1;x-amz-date, Signature={signature}"
    )
    request = Received(
        method,
        target,
        "",
        (
            ("Host", "example.amazonaws.com"),
            ("My-Header1", " value2 "),
            ("My-Header1", "value2"),
            ("My-Header1", "value1"),
            ("X-Amz-Date", "20150830T123600Z"),
            ("Authorization", authorization),
        ),
    )
    assert check(request, SUITE_KEYS, SUITE_AT)
