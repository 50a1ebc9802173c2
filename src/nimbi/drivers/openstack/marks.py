"""Marks in descriptions: the token of the wish for a thing, and what Neutron has no field for.

Neutron takes tags only in a second call, and none at all for rules of security groups. The answer
to the first call may be lost before the second; a description is there from the beginning, and
lists can be asked for it.
"""

import hashlib
import re

from nimbi.model.errors import Invalid

# Source: https://docs.openstack.org/api-ref/network/v2/ (Standard attributes)
LONGEST = 255
# The services' databases keep no character above this one: tables are utf8mb3.
LAST = "\uffff"
MARKS = re.compile(r" ?\[nimbi (?P<marks>[a-z]+=[^\s\]]+(?: [a-z]+=[^\s\]]+)*)\]\Z")


def digest(token: str | None) -> str:
    """Return a token in letters and digits, as every API takes it: 32 hexadecimal digits."""
    return hashlib.sha256((token or "").encode("utf-8", "surrogatepass")).hexdigest()[:32]


def marked(token: str | None, text: str | None = None, block: str | None = None) -> str:
    """Return a description of a user's text and marks, by which the thing is found again.

    Raises Invalid for a text that would not be kept as it is.
    """
    marks = f"token={digest(token)}" + (f" block={block}" if block else "")
    own = f"[nimbi {marks}]"
    room = LONGEST - len(own) - 1
    if len(text or "") > room:
        raise Invalid(f"the description has more than {room} characters")
    return f"{checked(text, 'the description')} {own}" if text else own


def unmarked(description: str | None) -> str:
    """Return the user's part of a description."""
    return MARKS.sub("", description or "")


def mark(description: str | None, name: str) -> str | None:
    """Return the value of one mark: `mark(description, "block")`."""
    found = MARKS.search(description or "")
    marks = found["marks"].split(" ") if found else []
    return dict(each.split("=", 1) for each in marks).get(name)


def checked(text: str, what: str) -> str:
    """Return a text of a user. Raises Invalid for what the cloud would not keep as it is."""
    if len(text) > LONGEST:
        raise Invalid(f"{what} has more than {LONGEST} characters")
    if not text.isprintable() or max(text, default="") > LAST:
        raise Invalid(f"{what} has characters that OpenStack does not keep")
    return text
