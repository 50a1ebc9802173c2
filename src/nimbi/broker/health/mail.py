"""Sends letters by a mail server of the operator's, again until it takes them."""

import asyncio
import logging
import random
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from nimbi.model.accounts import Problem
from nimbi.store.errors import StoreError
from nimbi.store.mails import Mail, MailStore

log = logging.getLogger(__name__)

Security = Literal["starttls", "tls", "none"]

# By scheme: how the connection is secured, and the usual port (RFC 8314, RFC 6409).
SCHEMES: dict[str, tuple[Security, int]] = {
    "smtp": ("starttls", 587),
    "smtps": ("tls", 465),
    "smtp+plain": ("none", 25),
}
TIMEOUT_S = 30.0
LEASE_S = 3 * TIMEOUT_S
BATCH = 20
FIRST_S, LONGEST_S = 10.0, 3600.0
# Who could not be written to for so long learns it from nobody.
GIVE_UP = timedelta(days=3)
# RFC 5321, section 4.2.1: these will not change by asking again.
FOR_GOOD = range(500, 600)


@dataclass(frozen=True)
class MailServer:
    """Where letters go. With `starttls` one that offers no TLS gets no letter, and no password."""

    host: str
    port: int
    security: Security
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None


def mail_server(
    url: str, sender: str, user: str | None, password: str | None, ca_file: str | None = None
) -> MailServer:
    """Return the server that a URL names: smtp://HOST[:PORT] (STARTTLS), smtps://, smtp+plain://.

    Raises StoreError for a URL that is none, and for a login that would go over the wire in clear.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    known = SCHEMES.get(parts.scheme)
    if known is None or not host or parts.username is not None or parts.path not in ("", "/"):
        raise StoreError("the mail server is smtp://HOST[:PORT], smtps://… or smtp+plain://…")
    security, usual = known
    if user is not None and security == "none":
        raise StoreError("a login needs smtp:// (STARTTLS) or smtps://: it would be sent in clear")
    if (user is None) != (password is None):
        raise StoreError("a login to the mail server has a user and a password")
    if ca_file is not None and not Path(ca_file).is_file():
        raise StoreError(f"{ca_file}: there is no such file of authorities")
    return MailServer(host, port or usual, security, sender, user, password, ca_file)


class Mailer:
    """Sends what is due; several processes share the work. `holder` names this one."""

    def __init__(
        self,
        store: MailStore,
        server: MailServer,
        *,
        holder: str,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._server = server
        self._holder = holder
        self._random = random

    async def send(self) -> int:
        """Send what is due now; return how many letters were taken."""
        due = await self._store.due(self._holder, LEASE_S, BATCH)
        if not due:
            return 0
        results = await asyncio.to_thread(delivered, self._server, due)
        sent = 0
        for mail, problem in zip(due, results, strict=True):
            if problem is None:
                await self._store.done(mail.id, self._holder)
                sent += 1
            else:
                await self._failed(mail, problem)
        return sent

    async def _failed(self, mail: Mail, problem: Problem) -> None:
        now = datetime.now(UTC)
        if problem.code == "refused" or now - mail.created_at > GIVE_UP:
            log.warning("letter %s is given up: %s", mail.id, problem.message)
            await self._store.done(mail.id, self._holder)
            return
        pause_s = min(LONGEST_S, FIRST_S * 2.0 ** min(mail.attempts, 30))
        log.warning("letter %s waits: %s", mail.id, problem.message)
        again_at = now + timedelta(seconds=pause_s * (1 + self._random()) / 2)
        await self._store.failed(mail.id, self._holder, problem, again_at)


def delivered(server: MailServer, mails: tuple[Mail, ...]) -> list[Problem | None]:
    """Send letters over one connection; return for each why not, None when it was taken."""
    try:
        connection = _opened(server)
    except (OSError, smtplib.SMTPException) as error:
        return [_problem(error, refuses=False)] * len(mails)
    results: list[Problem | None] = []
    try:
        for mail in mails:
            results.append(_sent(connection, server, mail))
    finally:
        _closed(connection)
    return results


def message_of(server: MailServer, mail: Mail) -> EmailMessage:
    """Return the letter; the same one has the same Message-ID when it comes twice."""
    message = EmailMessage()
    message["From"] = server.sender
    message["To"] = mail.recipient
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.created_at)
    message["Message-ID"] = f"<{mail.id}@{server.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


def _opened(server: MailServer) -> smtplib.SMTP:
    tls = ssl.create_default_context(cafile=server.ca_file)
    connection: smtplib.SMTP
    if server.security == "tls":
        connection = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=tls)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    try:
        if server.security == "starttls":
            # Raises when the server has none: a letter is not sent in clear instead.
            connection.starttls(context=tls)
        if server.user is not None and server.password is not None:
            connection.login(server.user, server.password)
    except BaseException:
        connection.close()
        raise
    return connection


def _sent(connection: smtplib.SMTP, server: MailServer, mail: Mail) -> Problem | None:
    try:
        connection.send_message(message_of(server, mail))
    except smtplib.SMTPRecipientsRefused as error:
        (code, said) = next(iter(error.recipients.values()))
        return _problem(smtplib.SMTPResponseException(code, said), refuses=True)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return _problem(error, refuses=True)
    return None


def _closed(connection: smtplib.SMTP) -> None:
    try:
        connection.quit()
    except (OSError, smtplib.SMTPException):
        connection.close()


def _problem(error: Exception, *, refuses: bool) -> Problem:
    """Return why a letter was not taken. What the server says may have a login in it: only codes.

    With `refuses` a code of 5xx is for good.
    """
    if isinstance(error, smtplib.SMTPResponseException):
        code = "refused" if refuses and error.smtp_code in FOR_GOOD else "unreachable"
        return Problem(code, f"the mail server answered {error.smtp_code}")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Problem("unreachable", "the mail server offers no STARTTLS, or no login")
    if isinstance(error, ssl.SSLError):
        return Problem("unreachable", "the mail server's certificate or TLS is not good")
    if isinstance(error, ValueError):
        return Problem("refused", "the letter cannot be written")
    return Problem("unreachable", "the mail server cannot be reached, or broke off")
