"""E-mail: by a real server, with STARTTLS and a login, and never in clear where it must not be."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from tests.broker.health.ward import LOCAL, Machine, Ward, certificate, open_ward, standing
from tests.broker.sites import soon

from nimbi.broker.access import ADMIN
from nimbi.broker.health.mail import MailServer, mail_server
from nimbi.store.errors import StoreError

USER, PASSWORD = "nimbi", "mail-password-of-tests"
SENDER = "alerts@nimbi.example"


@dataclass
class Mailbox:
    """What a mail server took. It refuses recipients at `refused`, and says `answer` to data."""

    letters: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refused: tuple[str, ...] = ()
    answer: str = "250 OK"
    logins: int = 0

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Any, envelope: Any
    ) -> str:
        if self.answer.startswith("250"):
            self.letters.append(message_from_bytes(envelope.content))
            self.recipients += envelope.rcpt_tos
        return self.answer

    def authenticate(
        self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        right = LoginPassword(USER.encode(), PASSWORD.encode())
        self.logins += data == right
        return AuthResult(success=data == right, handled=False)


@asynccontextmanager
async def serving(
    box: Mailbox, tls: ssl.SSLContext | None, *, login: bool = True
) -> AsyncIterator[int]:
    """Run a mail server until the block ends; give its port."""
    more: dict[str, Any] = {}
    if tls is not None:
        more = {"tls_context": tls, "require_starttls": True}
    if login:
        more |= {"authenticator": box.authenticate, "auth_required": True}
    loop = asyncio.get_running_loop()
    open: list[SMTP] = []

    def connected() -> SMTP:
        open.append(SMTP(box, hostname="localhost", loop=loop, **more))
        return open[-1]

    server = await loop.create_server(connected, LOCAL, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in open:
            if each.transport is not None:
                each.transport.abort()
        # Until what was aborted is closed.
        for _ in range(3):
            await asyncio.sleep(0)


@dataclass
class Post:
    """A ward whose mail server is `box`, and how it is reached."""

    ward: Ward
    box: Mailbox

    async def sent(self) -> int:
        mailer = self.ward.health._watcher._mailer
        assert mailer is not None
        return await mailer.send()

    async def waiting(self) -> list[tuple[str, int]]:
        """Return the letters that wait: recipient and failures."""
        async with self.ward.database.reading() as connection:
            wish = "select recipient, attempts from mails order by recipient"
            return [tuple(row) for row in await connection.exec_driver_sql(wish)]

    async def retry(self) -> int:
        """Let the pause be over, and send again."""
        async with self.ward.database.writing() as connection:
            await connection.exec_driver_sql("update mails set next_us = 0, until_us = 0")
        return await self.sent()


@pytest.fixture
async def post(tmp_path: Path, ready_database: Path) -> AsyncIterator[Post]:
    authority, context = certificate(tmp_path, "localhost")
    box = Mailbox()
    async with serving(box, context) as port:
        server = mail_server(f"smtp://localhost:{port}", SENDER, USER, PASSWORD, str(authority))
        async with opened(tmp_path, ready_database, server) as ward:
            yield Post(ward, box)


def opened(place: Path, database: Path, server: MailServer) -> Any:
    return open_ward(f"sqlite:///{copy(database, place)}", place, mail=server)


async def fall(ward: Ward, machine: Machine, *emails: str) -> None:
    """Have an alert fire that these addresses are told of."""
    check = await ward.check(machine.port, failures=1, emails=emails, name="web\u2028 ünd\tmore")
    ward.shut()
    await ward.again(check, 3)


async def test_letters_tell_that_it_fires_and_that_it_is_over(post: Post, machine: Machine) -> None:
    await fall(post.ward, machine, "ann@example.com", "bob@example.com")
    assert await post.sent() == 2
    assert await post.sent() == 0
    assert sorted(post.box.recipients) == ["ann@example.com", "bob@example.com"]
    letter = post.box.letters[0]
    assert letter["From"] == SENDER
    text = letter.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert b"inst0 of the account one does not answer" in text
    post.ward.reopen()
    (check,) = await post.ward.health.checks(ADMIN)
    await post.ward.again(check)
    assert await post.sent() == 2
    assert len({each["Message-ID"] for each in post.box.letters}) == 4
    assert post.box.logins == 2


async def test_letters_of_one_who_is_refused_are_given_up_and_others_come(
    post: Post, machine: Machine
) -> None:
    post.box.refused = ("nobody@example.com",)
    await fall(post.ward, machine, "nobody@example.com", "ann@example.com")
    assert await post.sent() == 1
    assert (post.box.recipients, await post.waiting()) == (["ann@example.com"], [])


async def test_a_letter_is_sent_again_until_it_is_taken(post: Post, machine: Machine) -> None:
    post.box.answer = "451 later"
    await fall(post.ward, machine, "ann@example.com")
    assert await post.sent() == 0
    assert await post.sent() == 0
    assert await post.waiting() == [("ann@example.com", 1)]
    post.box.answer = "250 OK"
    assert await post.retry() == 1
    assert await post.waiting() == []


async def test_of_one_that_flaps_only_the_first_letters_are_written(
    post: Post, machine: Machine
) -> None:
    await fall(post.ward, machine, "ann@example.com")
    (check,) = await post.ward.health.checks(ADMIN)
    for _ in range(9):
        post.ward.reopen()
        await post.ward.again(check)
        post.ward.shut()
        await post.ward.again(check)
    await post.sent()
    # Six that begin and end; the last two say why there are no more.
    texts = [str(letter.get_payload()) for letter in post.box.letters]
    assert len(texts) == 12
    assert sum("comes and goes" in text for text in texts) == 2
    assert len(await post.ward.told()) == 19


async def test_letters_are_sent_in_the_background(post: Post, machine: Machine) -> None:
    await fall(post.ward, machine, "ann@example.com")
    async with post.ward.health.watching():

        async def is_there() -> bool:
            return bool(post.box.letters)

        await soon(is_there)


@pytest.mark.parametrize("trusts", [True, False])
async def test_a_server_without_tls_or_with_a_foreign_certificate_gets_no_password(
    tmp_path: Path, ready_database: Path, machine: Machine, *, trusts: bool
) -> None:
    box = Mailbox()
    authority, context = certificate(tmp_path, "localhost")
    tls = None if trusts else context
    async with serving(box, tls, login=not trusts) as port:
        ca_file = str(authority) if trusts else None
        server = mail_server(f"smtp://localhost:{port}", SENDER, USER, PASSWORD, ca_file)
        async with opened(tmp_path, ready_database, server) as ward:
            post = Post(ward, box)
            await fall(ward, machine, "ann@example.com")
            assert await post.sent() == 0
            assert await post.waiting() == [("ann@example.com", 1)]
    assert (box.letters, box.logins) == ([], 0)


async def test_a_server_that_is_told_so_is_used_in_clear(
    tmp_path: Path, ready_database: Path, machine: Machine
) -> None:
    box = Mailbox()
    async with serving(box, None, login=False) as port:
        server = mail_server(f"smtp+plain://localhost:{port}", SENDER, None, None)
        async with opened(tmp_path, ready_database, server) as ward:
            await fall(ward, machine, "ann@example.com")
            assert await Post(ward, box).sent() == 1


async def test_what_is_no_mail_server_keeps_the_letter(
    tmp_path: Path, ready_database: Path, machine: Machine
) -> None:
    async with standing(Machine(greeting=b"SSH-2.0-x\r\n")) as other:
        server = mail_server(f"smtp://localhost:{other.port}", SENDER, USER, PASSWORD)
        async with opened(tmp_path, ready_database, server) as ward:
            post = Post(ward, Mailbox())
            await fall(ward, machine, "ann@example.com")
            assert await post.sent() == 0
            assert await post.waiting() == [("ann@example.com", 1)]


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("smtp+plain://mail.example", USER, PASSWORD),
        ("smtp://mail.example", USER, None),
        ("http://mail.example", None, None),
        ("smtp://", None, None),
        ("smtp://mail.example:x", None, None),
        (f"smtp://{USER}:{PASSWORD}@mail.example", None, None),
    ],
)
def test_a_server_that_makes_no_sense_is_refused(
    url: str, user: str | None, password: str | None
) -> None:
    with pytest.raises(StoreError) as told:
        mail_server(url, SENDER, user, password)
    assert PASSWORD not in str(told.value)


def test_a_mail_server_shows_no_password() -> None:
    assert PASSWORD not in repr(mail_server("smtps://mail.example", SENDER, USER, PASSWORD))
