import pytest
from starlette.datastructures import Headers

from nimbi.frontends.deltacloud.html.pages import CONTENT_SECURITY_POLICY
from nimbi.wire.origin import is_cross_site


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Host": "cloud:3001"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "made-up"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://c", "Host": "c"}, True),
        ({"Origin": "http://cloud:3001", "Host": "cloud:3001"}, False),
        ({"Origin": "HTTP://Cloud:3001", "host": "cloud:3001"}, False),
        ({"Origin": "https://cloud", "Host": "cloud"}, False),
        ({"Origin": "https://cloud", "Host": "cloud:443"}, False),
        ({"Origin": "http://[::1]:3001", "Host": "[::1]:3001"}, False),
        ({"Origin": "http://cloud:3002", "Host": "cloud:3001"}, True),
        ({"Origin": "http://cloud", "Host": "cloud:3001"}, True),
        ({"Origin": "http://evil.example", "Host": "cloud:3001"}, True),
        ({"Origin": "http://cloud:3001.evil.example", "Host": "cloud:3001"}, True),
        ({"Origin": "null", "Host": "cloud:3001"}, True),
        ({"Origin": "null", "Host": ""}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "", "Host": "cloud:3001"}, True),
        ({"Origin": "http://cloud:port", "Host": "cloud:port"}, True),
        ({"Origin": "http://[", "Host": "["}, True),
    ],
)
def test_a_request_counts_as_foreign_unless_sent_by_our_own_page_or_by_no_browser(
    headers: dict[str, str], foreign: bool
) -> None:
    assert is_cross_site(headers) is foreign
    assert is_cross_site(Headers(headers)) is foreign


def test_the_policy_allows_no_script_and_no_other_server() -> None:
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert set(rules.values()) <= {"'self'", "'none'"}
    assert "script-src" not in rules
