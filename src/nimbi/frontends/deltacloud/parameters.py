"""The parameters of one request, and how their values are read."""

import binascii
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from starlette.datastructures import UploadFile

from nimbi.model.errors import Invalid

Number = int | float

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_CONTROL = re.compile("[\x00-\x1f\x7f]")
_INTEGER = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

MAX_SHOWN = 60


class Parameters:
    """Parameters by name, each a text or an uploaded file; an empty text is no value.

    Reading a value that is not what it should be raises Invalid with the name in the message.
    """

    __slots__ = ("files", "texts")

    def __init__(
        self, texts: Mapping[str, str] | None = None, files: Mapping[str, UploadFile] | None = None
    ) -> None:
        self.texts: Mapping[str, str] = texts if texts is not None else {}
        self.files: Mapping[str, UploadFile] = files if files is not None else {}

    def __contains__(self, name: str) -> bool:
        return name in self.texts or name in self.files

    def names(self) -> Iterator[str]:
        yield from self.texts
        yield from self.files

    def line(self, name: str) -> str | None:
        """Return one line of text without control characters; None when there is no value."""
        value = self.texts.get(name)
        if not value:
            return None
        if _LINE_CONTROL.search(value):
            raise Invalid(f"parameter '{name}' holds a control character")
        return value

    def needed(self, name: str) -> str:
        """Return one line of text that must not be empty."""
        value = self.line(name)
        if value is None:
            raise Invalid(f"parameter '{name}' is empty")
        return value

    def text(self, name: str) -> str | None:
        """Return text of any number of lines; None when there is no value."""
        value = self.texts.get(name)
        if not value:
            return None
        if _CONTROL.search(value):
            raise Invalid(f"parameter '{name}' holds a control character")
        return value

    def integer(self, name: str, low: int, high: int) -> int | None:
        value = self.line(name)
        if value is None:
            return None
        if not _INTEGER.fullmatch(value) or not low <= int(value) <= high:
            raise Invalid(
                f"parameter '{name}' is a whole number from {low} to {high}, not {_shown(value)}"
            )
        return int(value)

    def needed_integer(self, name: str, low: int, high: int) -> int:
        self.needed(name)
        value = self.integer(name, low, high)
        assert value is not None  # noqa: S101  a needed text is not empty
        return value

    def number(self, name: str) -> Number | None:
        """Return a positive number, whole when it can be."""
        value = self.line(name)
        if value is None:
            return None
        exact = Decimal(value) if _NUMBER.fullmatch(value) else Decimal(0)
        if not exact:
            raise Invalid(f"parameter '{name}' is a number above zero, not {_shown(value)}")
        return int(exact) if exact == exact.to_integral_value() else float(exact)

    def flag(self, name: str) -> bool | None:
        """Return whether a wish is set; the original takes any text for yes."""
        value = self.line(name)
        if value is None:
            return None
        lowered = value.lower()
        if lowered in FALSE:
            return False
        return True if lowered in TRUE or value == name else bool(value)

    def base64(self, name: str) -> bytes | None:
        """Return the decoded bytes; line ends within base64 are allowed (RFC 2045)."""
        value = self.texts.get(name)
        if not value:
            return None
        try:
            # In a query string an unescaped plus arrives as a blank.
            plain = value.replace("\r", "").replace("\n", "").replace(" ", "+")
            return binascii.a2b_base64(plain.encode("ascii"), strict_mode=True)
        except ValueError as error:
            raise Invalid(f"parameter '{name}' is not base64") from error

    def matching(self, pattern: re.Pattern[str]) -> list[str]:
        """Return the values, not empty, of all names that the pattern matches, in natural order."""
        found = [name for name in self.texts if pattern.search(name)]
        values = (self.line(name) for name in sorted(found, key=natural))
        return [value for value in values if value is not None]


def natural(name: str) -> tuple[str, int]:
    """Return a key by which `group2` comes before `group10`."""
    digits = re.search(r"(\d{1,9})$", name)
    return (name[: digits.start()], int(digits[1])) if digits else (name, 0)


def _shown(value: str) -> str:
    return repr(value[:MAX_SHOWN])
