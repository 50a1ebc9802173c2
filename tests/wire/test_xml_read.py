"""Reading of XML, well-formed and hostile."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nimbi.wire.xml_read import MalformedXml, parse

INSTANCES = b"""<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>59dbff89</requestId>
    <reservationSet><item><groupSet/></item></reservationSet>
</DescribeInstancesResponse>"""


def plain(text: bytes) -> str:
    return etree.tostring(parse(text)).decode()


def test_names_have_no_namespace() -> None:
    root = parse(INSTANCES)
    assert root.tag == "DescribeInstancesResponse"
    assert root.findtext("requestId") == "59dbff89"
    assert root.find("reservationSet/item/groupSet") is not None
    assert "xmlns" not in etree.tostring(root).decode()


@pytest.mark.parametrize(
    "text",
    [
        b'<r xmlns="d"><a t="1"/></r>',
        b"<r\n xmlns='d' ><a t='1'/></r>",
        b'<r xmlns = "d"><a t="1"/></r>',
        b'<p:r xmlns:p="d"><p:a p:t="1"/></p:r>',
        b'<r><a xmlns="d" t="1"/></r>',
        b'<r xmlns="d"><q:a xmlns:q="e" q:t="1"/></r>',
        b'<!-- c --><?pi x?><r xmlns="d"><!-- c --><a t="1"/><?pi x?></r>',
        b'\xef\xbb\xbf<r xmlns="d"><a t="1"/></r>',
        '<?xml version="1.0" encoding="UTF-16"?><r xmlns="d"><a t="1"/></r>'.encode("utf-16"),
        '<?xml version="1.0" encoding="UTF-16"?><p:r xmlns:p="d"><a p:t="1"/></p:r>'.encode(
            "utf-16"
        ),
    ],
)
def test_however_namespaces_are_declared_only_names_are_left(text: bytes) -> None:
    assert plain(text) == '<r><a t="1"/></r>'


def test_text_that_looks_like_a_namespace_stays() -> None:
    text = b'<r><a>xmlns="d" {d}e</a><b c="{d}e xmlns=\'d\'"/></r>'
    root = parse(text)
    assert root.findtext("a") == 'xmlns="d" {d}e'
    assert root[1].get("c") == "{d}e xmlns='d'"


BOMB = b"".join(
    b'<!ENTITY %c "%b">' % (97 + i, b"&%c;" % (96 + i) * 10 if i else b"lol") for i in range(10)
)


@pytest.mark.parametrize(
    "text",
    [
        b"<!DOCTYPE r [" + BOMB + b"]><r>&j;</r>",
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r>&x;</r>',
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "http://127.0.0.1:1/">]><r a="&x;"/>',
        b'<!DOCTYPE r SYSTEM "http://127.0.0.1:1/r.dtd"><r/>',
        b"<!DOCTYPE r><r/>",
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE r><r/>'.encode("utf-16"),
        (
            '<?xml version="1.0" encoding="UTF-16"?>'
            '<!DOCTYPE r [<!ENTITY x "lol">]><r a="&x;">&x;</r>'
        ).encode("utf-16"),
    ],
)
def test_document_types_and_entities_are_refused(text: bytes) -> None:
    with pytest.raises(MalformedXml):
        parse(text)


def test_no_file_is_included(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    include = f'<xi:include href="{tmp_path}/secret" parse="text"/>'
    text = f'<r xmlns:xi="http://www.w3.org/2001/XInclude">{include}</r>'
    assert "".join(parse(text.encode()).itertext()) == ""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"   ",
        b"no xml",
        b'{"json": 1}',
        b"<r>",
        INSTANCES[:-10],
        INSTANCES[:100],
        b"<r></s>",
        b"<r/><r/>",
        b"<r>&unknown;</r>",
        b"<r>\x01</r>",
        b"<r>\xff</r>",
        b"<a>" * 300 + b"</a>" * 300,
        b"<r>" + b"x" * 10_000_001 + b"</r>",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_what_is_not_a_whole_document_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedXml):
        parse(text)


@given(st.binary(max_size=60) | st.text("<>/!?&;:=\"' xmlnsr[]-\n", max_size=60).map(str.encode))
def test_whatever_comes_is_read_or_refused(text: bytes) -> None:
    try:
        root = parse(text)
    except MalformedXml:
        return
    assert isinstance(root.tag, str)


def test_a_huge_start_of_nothing_is_refused_in_no_time() -> None:
    for text in (b"<r " + b" " * 1_000_000, b"<?xml" + b" " * 1_000_000, b" " * 1_000_000):
        with pytest.raises(MalformedXml):
            parse(text)
