import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.wire.negotiation import Format, choose

XML = Format("xml", ("application/xml", "text/xml"))
JSON = Format("json", ("application/json",))
HTML = Format("html", ("text/html", "application/xhtml+xml"))
OFFERED = (XML, JSON, HTML)
ANY_ORDER = ("html", "xml", "json")


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("", XML),
        ("  ", XML),
        ("application/xml", XML),
        ("text/xml", XML),
        ("TEXT/XML", XML),
        ("application/json", JSON),
        ("application/xhtml+xml", HTML),
        ("*/*", HTML),
        ("*/*; q=0.5, application/xml", XML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("application/xml;q=0.2, application/json;q=0.9", JSON),
        ("application/json, application/xml;q=0.5", JSON),
        ("application/xml, application/json", XML),
        ("application/json, application/xml", XML),
        ("application/json, */*", JSON),
        ("text/html, application/xml", XML),
        ("application/*", XML),
        ("text/*", HTML),
        ("application/json;q=0, */*", HTML),
        ("text/html;q=0, */*", XML),
        ("application/xml;charset=utf-8", XML),
        ("application/json;q=1.000", JSON),
        ("application/json;q=0.001", JSON),
        ("application/unknown, application/json", JSON),
    ],
)
def test_the_format_is_the_one_that_is_liked_best(accept: str, format: Format) -> None:
    assert choose(accept, OFFERED, ANY_ORDER) is format


@pytest.mark.parametrize(
    "accept", ["application/unknown", "application/json;q=0", "image/*", "x", ",,;", "*/json"]
)
def test_what_is_not_offered_is_not_acceptable(accept: str) -> None:
    assert choose(accept, OFFERED, ANY_ORDER) is None


@pytest.mark.parametrize("weight", ["x", "2", "-1", "nan", "inf"])
def test_a_type_with_a_broken_weight_does_not_count(weight: str) -> None:
    assert choose(f"application/xml;q={weight}, application/json", OFFERED, ANY_ORDER) is JSON


@given(st.text(max_size=60))
def test_any_header_gets_a_format_or_none(accept: str) -> None:
    assert choose(accept, OFFERED, ANY_ORDER) in (*OFFERED, None)
