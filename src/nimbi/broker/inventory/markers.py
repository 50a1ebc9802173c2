"""Markers: where a page ended, signed, and of use for the same list only."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import msgspec

from nimbi.broker.inventory.wishes import Wish
from nimbi.model.errors import Invalid

DIGEST_BYTES = 8
SIGNATURE_BYTES = 16


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The last thing of a page: what it was sorted by, and which it is.

    `listed_at` is when the first page was asked for, so that one list is of one time.
    """

    keys: tuple[str | int, str, str]
    listed_at: float

    @property
    def listed(self) -> datetime:
        return datetime.fromtimestamp(self.listed_at, UTC)


class Markers:
    """Makes markers and reads them; those of one `key` are good for all who have it."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(b"markers", key=key[:64], digest_size=32).digest()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Position).decode

    def make(self, wish: Wish, position: Position) -> str:
        """Return the marker of the page that begins behind a position."""
        told = self._encode(position)
        return base64.urlsafe_b64encode(self._signature(wish, told) + told).decode().rstrip("=")

    def read(self, wish: Wish, marker: str) -> Position:
        """Return the position. Raises Invalid for a marker that is not of this very list."""
        try:
            raw = base64.b64decode(marker + "=" * (-len(marker) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        signature, told = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(wish, told)):
            raise Invalid("this marker was not given for this list: begin anew without one")
        try:
            return self._decode(told)
        except msgspec.MsgspecError as error:
            # One that an older version of this server has signed.
            raise Invalid("this marker is of no use any more: begin anew without one") from error

    def _signature(self, wish: Wish, told: bytes) -> bytes:
        list_of = (wish.collection, wish.accounts, sorted(wish.filters.items()), wish.sort)
        try:
            whole = self._encode((list_of, told))
        except UnicodeEncodeError as error:
            raise Invalid("a filter is no Unicode text") from error
        return hashlib.blake2b(whole, key=self._key, digest_size=SIGNATURE_BYTES).digest()
