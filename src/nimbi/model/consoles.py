"""Consoles: ways to sit before an instance as if it were a machine on a desk."""

from enum import StrEnum

import msgspec


class ConsoleKind(StrEnum):
    """SERIAL is a line of text, as a terminal speaks it; VNC is a screen, by RFB (RFC 6143)."""

    SERIAL = "serial"
    VNC = "vnc"


class ConsoleLink(msgspec.Struct, frozen=True, kw_only=True):
    """Where the cloud itself shows a console, for some minutes, to anybody who has the URL.

    `protocol` is the cloud's word for what is spoken there: `vnc`, `spice`, `serial`.
    """

    url: str
    protocol: str

    def __repr__(self) -> str:
        return f"ConsoleLink(protocol={self.protocol!r}, …)"
