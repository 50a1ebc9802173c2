"""HTTP Basic: the login that a request brings along."""

import binascii
from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Login:
    """The user and password of one request, as sent."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Login(…)"


class MalformedLogin(ValueError):
    """The Authorization header is Basic, but cannot be decoded."""


def basic_login(header: bytes | None) -> Login | None:
    """Return the login of an Authorization header; None without one, or for another scheme.

    Text is UTF-8 (RFC 7617, section 2.1). Raises MalformedLogin.
    """
    if header is None:
        return None
    scheme, _, encoded = header.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        text = binascii.a2b_base64(encoded.strip(), strict_mode=True).decode("utf-8")
    except ValueError as error:
        raise MalformedLogin("the login cannot be decoded") from error
    user, colon, password = text.partition(":")
    if not colon or "\0" in text:
        raise MalformedLogin("the login has no colon or holds a zero byte")
    return Login(user, password)
