"""Signing, against the examples that AWS publishes and against botocore."""

from hashlib import sha256

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st
from tests.wire.any_request import (
    HEADERS,
    HOSTS,
    METHODS,
    NOW,
    QUERIES,
    SEGMENTS,
    TEXT,
    TOKENS,
    by_botocore,
    url_of,
)
from tests.wire.aws_examples import (
    FORM,
    S3_AT,
    S3_EXAMPLES,
    S3_KEYS,
    S3_SCOPE,
    SUITE,
    SUITE_AT,
    SUITE_KEYS,
    SUITE_SCOPE,
    VANILLA,
)

from nimbi.wire import sigv4
from nimbi.wire.sigv4 import EMPTY_SHA256, UNSIGNED, Keys, Scope, presigned, signed


@pytest.mark.parametrize("name", SUITE)
def test_requests_of_awss_test_suite_get_the_signatures_it_publishes(name: str) -> None:
    method, target, headers, body, signature = SUITE[name]
    token = headers.get("x-amz-security-token")
    sent = signed(
        method,
        f"https://example.amazonaws.com{target}",
        {k: v for k, v in headers.items() if k != "x-amz-security-token"},
        sha256(body).hexdigest(),
        Keys(SUITE_KEYS.access_key_id, SUITE_KEYS.secret_access_key, token),
        SUITE_SCOPE,
        SUITE_AT,
    )
    assert sent["Authorization"].endswith(f"Signature={signature}")
    assert sent["X-Amz-Date"] == "20150830T123600Z"


def test_the_users_guides_request_gets_the_header_it_prints() -> None:
    sent = signed(
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        {"Content-Type": f"{FORM}; charset=utf-8"},
        EMPTY_SHA256,
        SUITE_KEYS,
        Scope("us-east-1", "iam"),
        SUITE_AT,
    )
    assert sent["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


@pytest.mark.parametrize("name", S3_EXAMPLES)
def test_requests_of_s3s_documentation_get_the_signatures_it_prints(name: str) -> None:
    method, target, headers, body, signature = S3_EXAMPLES[name]
    sent = signed(
        method,
        f"https://examplebucket.s3.amazonaws.com{target}",
        headers,
        sha256(body).hexdigest(),
        S3_KEYS,
        S3_SCOPE,
        S3_AT,
        normalise=False,
    )
    assert sent["Authorization"].endswith(f"Signature={signature}")
    assert sent["X-Amz-Content-SHA256"] == sha256(body).hexdigest()


def test_the_link_of_s3s_documentation_is_the_one_it_prints() -> None:
    url = "https://examplebucket.s3.amazonaws.com/test.txt"
    assert presigned("GET", url, S3_KEYS, S3_SCOPE, 86400, S3_AT) == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@given(METHODS, HOSTS, SEGMENTS, QUERIES, HEADERS, st.binary(max_size=64), TOKENS, st.booleans())
@example("GET", "http://127.0.0.1:5000", ["", "a", "..", ""], [("", "")], {}, b"", None, True)
def test_any_request_is_signed_as_botocore_signs_it(
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
    scope = Scope("eu-west-1", "s3" if is_s3 else "ec2")
    signer = (botocore.auth.S3SigV4Auth if is_s3 else botocore.auth.SigV4Auth)(
        Credentials("AKID", "secret", token), scope.service, scope.region
    )
    theirs = by_botocore(signer, AWSRequest(method, url, headers=dict(headers), data=body))
    ours = signed(
        method,
        url,
        headers,
        sha256(body).hexdigest(),
        Keys("AKID", "secret", token),
        scope,
        NOW,
        normalise=not is_s3,
    )
    assert ours == dict(theirs.headers.items())


@given(
    METHODS,
    HOSTS,
    SEGMENTS,
    st.dictionaries(TEXT.filter(bool), TEXT, max_size=3),
    TOKENS,
    st.integers(1, 604800),
    st.booleans(),
)
def test_any_link_is_signed_as_botocore_signs_it(
    method: str,
    host: str,
    segments: list[str],
    query: dict[str, str],
    token: str | None,
    seconds: int,
    is_s3: bool,
) -> None:
    url = url_of(host, segments, list(query.items()))
    scope = Scope("eu-west-1", "s3" if is_s3 else "ec2")
    signer = (botocore.auth.S3SigV4QueryAuth if is_s3 else botocore.auth.SigV4QueryAuth)(
        Credentials("AKID", "secret", token), scope.service, scope.region, seconds
    )
    theirs = by_botocore(signer, AWSRequest(method, url))
    ours = presigned(method, url, Keys("AKID", "secret", token), scope, seconds, NOW)
    assert parts(ours) == parts(theirs.url)


def parts(url: str) -> tuple[str, list[str]]:
    place, _, query = url.partition("?")
    return place, sorted(query.split("&"))


def test_a_header_of_an_earlier_signature_is_replaced() -> None:
    stale = {"authorization": "AWS4-HMAC-SHA256 old", "x-amz-date": "old", "Accept": "a"}
    url = "https://example.amazonaws.com/"
    again = signed("GET", url, stale, EMPTY_SHA256, SUITE_KEYS, SUITE_SCOPE, SUITE_AT)
    assert sorted(again) == ["Accept", "Authorization", "X-Amz-Date"]


def test_a_host_header_of_the_callers_own_is_the_one_that_is_signed() -> None:
    own = {"Host": "bucket.s3.amazonaws.com"}
    by_header = signed("GET", "http://127.0.0.1:99/", own, UNSIGNED, S3_KEYS, S3_SCOPE, S3_AT)
    by_url = signed("GET", f"http://{own['Host']}/", {}, UNSIGNED, S3_KEYS, S3_SCOPE, S3_AT)
    assert by_header["Authorization"] == by_url["Authorization"]


def test_a_query_is_signed_the_same_however_it_is_encoded() -> None:
    assert sigv4.canonical_query("b=%e1%88%b4&a+b=%41/:") == "a%20b=A%2F%3A&b=%E1%88%B4"
    assert sigv4.canonical_query("c=%41%2Dz&b") == "b=&c=A-z"


def test_headers_that_change_on_the_way_are_not_signed() -> None:
    headers = {"User-Agent": "x", "Connection": "close", "Expect": "100-continue", "TE": "x"}
    url = "https://example.amazonaws.com/"
    sent = signed("GET", url, headers, EMPTY_SHA256, SUITE_KEYS, SUITE_SCOPE, SUITE_AT)
    assert sent["Authorization"].endswith(VANILLA)


@pytest.mark.parametrize("seconds", [0, -1, 604801])
def test_a_link_for_longer_than_a_week_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        presigned("GET", "https://h/", S3_KEYS, S3_SCOPE, seconds)


def test_a_login_shows_no_secret() -> None:
    text = repr(Keys("AKID", "se-cret", "to-ken"))
    assert "AKID" in text
    assert "se-cret" not in text
    assert "to-ken" not in text
