"""Any request that a client may send, and botocore's signer to compare with."""

from datetime import UTC, datetime
from unittest import mock
from urllib.parse import quote

import botocore.auth
from botocore.awsrequest import AWSRequest
from hypothesis import strategies as st

# What a client may send: every character in a path or query, encoded; visible text in headers.
METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"])
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
SEGMENTS = st.lists(TEXT | st.sampled_from(["", ".", "..", "a//b", "%2F", "%"]), max_size=5)
QUERIES = st.lists(st.tuples(TEXT, TEXT), max_size=4)
# botocore takes all white space of Unicode for blanks; AWS and HTTP know but two.
VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), max_size=20
)
HEADERS = st.dictionaries(
    st.from_regex(r"(?:X-(?:Amz|Other)-[A-Za-z0-9]{1,8}|Content-Type|User-Agent)", fullmatch=True),
    VALUES,
    max_size=4,
).filter(
    lambda headers: (
        len({n.lower() for n in headers}) == len(headers)
        and not {n.lower() for n in headers} & {"x-amz-date", "x-amz-content-sha256"}
    )
)
HOSTS = st.sampled_from(
    [
        "https://ec2.eu-west-1.amazonaws.com",
        "https://Bucket.S3.amazonaws.com:443",
        "http://127.0.0.1:5000",
        "http://localhost:80",
        "https://[::1]:8443",
    ]
)
TOKENS = st.none() | st.text("abcXYZ012/+=", min_size=1, max_size=40)
NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def url_of(host: str, segments: list[str], query: list[tuple[str, str]]) -> str:
    path = "/" + "/".join(quote(s, safe="-._~") for s in segments)
    pairs = "&".join(f"{quote(n, safe='-._~')}={quote(v, safe='-._~')}" for n, v in query)
    return f"{host}{path}?{pairs}" if pairs else host + path


def by_botocore(signer: botocore.auth.SigV4Auth, request: AWSRequest) -> AWSRequest:
    with mock.patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        signer.add_auth(request)
    return request
