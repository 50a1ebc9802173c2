"""Tickets: one-time tokens that open one console of one instance, kept in files.

All workers of a server share the files, so a ticket that one gave another one takes.
"""

import hashlib
import hmac
import os
import re
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import Forbidden, Throttled

TOKEN_BYTES = 32
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
"""What `secrets.token_urlsafe` makes of that many bytes."""

MOST_TICKETS = 10_000
FULL_RETRY_S = 60.0
SEAL_BYTES = 32


class Ticket(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """What a token opens, and as whom. `login` is user and password, None when none is needed."""

    driver: str
    provider: str | None
    login: tuple[str, str] | None
    instance_id: str
    kind: ConsoleKind
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Ticket({self.driver!r}, {self.instance_id!r}, {self.kind!r}, …)"


class Tickets:
    """Tickets that were given and not taken yet, a file each in `folder`, made when needed.

    A file is named by a digest of its token and sealed by a key made of the token, which itself
    is kept nowhere: who reads the folder learns no token and no login.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def give(self, ticket: Ticket) -> str:
        """Return the token of a ticket. Raises Throttled when too many are out."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._sweep() >= MOST_TICKETS:
            raise Throttled("too many consoles are about to be opened", FULL_RETRY_S)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.open(self._file(token), flags, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(_sealed(token, msgspec.json.encode(ticket)))
        until = ticket.expires_at.timestamp()
        # The time of the file tells when it is over, to whoever sweeps without the token.
        os.utime(self._file(token), (until, until))
        return token

    def take(self, token: str) -> Ticket:
        """Return the ticket of a token and burn it, for whoever comes first.

        Raises Forbidden for a token that is wrong, used, or over; never says which.
        """
        refused = Forbidden("this console's address is wrong, was used, or is too old")
        if not TOKEN.fullmatch(token):
            raise refused
        file = self._file(token)
        try:
            sealed = file.read_bytes()
            # Of all who read it, only one can remove it.
            file.unlink()
        except FileNotFoundError:
            raise refused from None
        content = _unsealed(token, sealed)
        if content is None:
            raise refused
        ticket = msgspec.json.decode(content, type=Ticket)
        if ticket.expires_at <= datetime.now(UTC):
            raise refused
        return ticket

    def _file(self, token: str) -> Path:
        return self._folder / hashlib.sha256(b"name:" + token.encode()).hexdigest()

    def _sweep(self) -> int:
        """Remove what is over, and return how many tickets are left."""
        left = 0
        now = time.time()
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime < now:
                        Path(entry.path).unlink()
                    else:
                        left += 1
        return left


def _sealed(token: str, content: bytes) -> bytes:
    # The key seals one text only, so a stream made of it alone is a one-time pad (SHAKE256 as a
    # stream, then HMAC over what it hides). Both keys follow from 256 random bits.
    hidden = _hidden(token, content)
    return _seal(token, hidden) + hidden


def _unsealed(token: str, sealed: bytes) -> bytes | None:
    seal, hidden = sealed[:SEAL_BYTES], sealed[SEAL_BYTES:]
    if not hmac.compare_digest(seal, _seal(token, hidden)):
        return None
    return _hidden(token, hidden)


def _hidden(token: str, content: bytes) -> bytes:
    pad = hashlib.shake_256(b"pad:" + token.encode()).digest(len(content))
    return bytes(a ^ b for a, b in zip(content, pad, strict=True))


def _seal(token: str, hidden: bytes) -> bytes:
    return hmac.digest(hashlib.sha256(b"seal:" + token.encode()).digest(), hidden, hashlib.sha256)
