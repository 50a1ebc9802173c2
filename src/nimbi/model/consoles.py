"""Consoles: ways to sit before an instance as if it were a machine on a desk."""

from enum import StrEnum


class ConsoleKind(StrEnum):
    """SERIAL is a line of text, as a terminal speaks it; VNC is a screen, by RFB (RFC 6143)."""

    SERIAL = "serial"
    VNC = "vnc"
