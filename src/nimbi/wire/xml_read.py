"""Reading XML that a stranger wrote: no entities, no files, no network, no namespaces."""

import re
from typing import TypeAlias

from lxml import etree

Element: TypeAlias = etree._Element  # noqa: SLF001 (lxml's only name for it)

# The default namespace of the root element, where nearly all clouds declare their one namespace:
# without it the parser makes plain names at once, and the tree needs no walk.
_ROOT_NAMESPACE = re.compile(
    rb"""(\s*(?:<\?xml[^<>]{0,200}\?>\s*)?<[A-Za-z_][\w.-]{0,99})\s+xmlns=(?:"[^"<>]*"|'[^'<>]*')"""
)

# Threads that share it wait for each other; to make one for each document would cost more.
_PARSER = etree.XMLParser(
    resolve_entities=False,
    load_dtd=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    # Between elements only; a text that is nothing but blanks stays.
    remove_blank_text=True,
)


class MalformedXml(ValueError):
    """The text is not a whole XML document, or has parts that are refused."""


def parse(text: bytes) -> Element:
    """Return the root of a document, with the namespaces taken off all names.

    Of prefixes nothing is left either: `xsi:type` becomes `type`. Comments and processing
    instructions are dropped. Refused are document types, and with them entities; elements nested
    deeper than 256, and single texts above 10 MB (libxml2's own limits). Raises MalformedXml.
    """
    if b"<!DOCTYPE" in text:
        raise MalformedXml("a document type is not accepted")
    found = _ROOT_NAMESPACE.match(text)
    plain = text if found is None else found[1] + text[found.end() :]
    try:
        root = etree.fromstring(plain, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXml(f"not well-formed XML: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        # Reached only in encodings in which the check above does not see it, such as UTF-16.
        raise MalformedXml("a document type is not accepted")
    if b"xmlns" in plain or "{" in root.tag:
        _strip_namespaces(root)
    return root


def _strip_namespaces(root: Element) -> None:
    for element in root.iter(etree.Element):
        element.tag = _local(element.tag)
        for name in list(element.attrib):
            if _local(name) != name:
                element.attrib[_local(name)] = element.attrib.pop(name)
    etree.cleanup_namespaces(root)


def _local(name: str | bytes) -> str:
    return str(name).rpartition("}")[2]
