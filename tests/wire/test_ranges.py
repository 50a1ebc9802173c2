import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.wire.ranges import Span, UnsatisfiableRange, resolve, unsatisfied_range


# RFC 9110, section 14.1.2, with its content of 10000 bytes.
@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-499", Span(0, 499)),
        ("bytes=500-999", Span(500, 999)),
        ("bytes=-500", Span(9500, 9999)),
        ("bytes=9500-", Span(9500, 9999)),
        ("bytes=0-0", Span(0, 0)),
        ("bytes=0-99999999", Span(0, 9999)),
        ("bytes=-99999", Span(0, 9999)),
        ("Bytes = 1-2 ", Span(1, 2)),
    ],
)
def test_a_range_of_bytes_is_resolved(header: str, span: Span) -> None:
    assert resolve(header, 10_000) == span


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=2-1",
        "bytes=0-1,3-4",
        "lines=1-2",
        "bytes=1-2-3",
        "bytes=٣-٤",
        f"bytes={'9' * 400}-",
    ],
)
def test_what_is_not_one_range_of_bytes_is_ignored(header: str) -> None:
    assert resolve(header, 10_000) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=-5", 0)]
)
def test_a_range_outside_of_the_content_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRange):
        resolve(header, size)


@given(st.integers(0, 99), st.none() | st.integers(0, 120), st.integers(1, 80))
def test_a_resolved_range_lies_within_the_content(first: int, last: int | None, size: int) -> None:
    header = f"bytes={first}-{'' if last is None else last}"
    try:
        span = resolve(header, size)
    except UnsatisfiableRange:
        assert first >= size
        return
    if span is None:
        assert last is not None
        assert last < first
    else:
        content = bytes(range(size))
        end = size if last is None else last + 1
        assert content[span.first : span.last + 1] == content[first:end]
        assert span.size_bytes == len(content[first:end])


@given(st.text(max_size=30))
def test_no_header_breaks_the_parser(header: str) -> None:
    try:
        span = resolve(header, 100)
    except UnsatisfiableRange:
        return
    assert span is None or 0 <= span.first <= span.last < 100


def test_the_headers_of_answers_tell_the_range_and_the_size() -> None:
    assert Span(0, 9).content_range(100) == "bytes 0-9/100"
    assert unsatisfied_range(100) == "bytes */100"
