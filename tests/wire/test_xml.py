import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nimbi.wire.xml import DECLARATION, cdata, escape

ANY = st.text(st.characters(exclude_categories=[]))


def in_xml(text: str) -> str:
    """Return the text with what XML 1.0 cannot hold replaced (section 2.2)."""
    return "".join(
        c
        if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000"
        else "\ufffd"
        for c in text
    )


def parsed(document: str) -> etree._Element:
    return etree.fromstring(document.encode("utf-8"))


@given(ANY)
def test_an_escaped_text_is_parsed_to_itself(text: str) -> None:
    element = parsed(f"{DECLARATION}<a b='{escape(text)}' c=\"{escape(text)}\">{escape(text)}</a>")
    assert (element.text or "") == in_xml(text)
    assert element.get("b") == in_xml(text)
    assert element.get("c") == in_xml(text)


@given(ANY)
def test_a_text_in_cdata_is_parsed_to_itself(text: str) -> None:
    assert (parsed(f"<a>{cdata(text)}</a>").text or "") == in_xml(text)


@pytest.mark.parametrize(
    "text", ["]]>", "]]>]]>", "]]", "]]]>", "<![CDATA[", "a\r\nb", "\x00", "&amp;", "\ud800"]
)
def test_texts_that_break_careless_writers_are_kept(text: str) -> None:
    assert parsed(f"<a>{cdata(text)}</a>").text == in_xml(text)
    assert parsed(f"<a>{escape(text)}</a>").text == in_xml(text)


def test_a_plain_text_is_not_touched() -> None:
    text = "img1.inst1.public.com"
    assert escape(text) is text
