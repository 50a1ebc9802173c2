"""Tickets: one-time, sealed, shared by all workers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nimbi.gateway import tickets
from nimbi.gateway.tickets import Ticket, Tickets
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import CloudError, Forbidden, Throttled


def ticket(expires_s: float = 60, instance_id: str = "inst1") -> Ticket:
    return Ticket(
        driver="mock",
        provider=None,
        login=("user", "a password"),
        instance_id=instance_id,
        kind=ConsoleKind.VNC,
        expires_at=datetime.now(UTC) + timedelta(seconds=expires_s),
    )


def test_a_token_opens_what_it_was_given_for(tmp_path: Path) -> None:
    given = ticket()
    assert Tickets(tmp_path).take(Tickets(tmp_path).give(given)) == given


def test_a_token_opens_once(tmp_path: Path) -> None:
    vault = Tickets(tmp_path)
    token = vault.give(ticket())
    vault.take(token)
    with pytest.raises(Forbidden):
        vault.take(token)


def test_of_many_who_bring_the_same_token_one_gets_in(tmp_path: Path) -> None:
    token = Tickets(tmp_path).give(ticket())

    def one(_: int) -> bool:
        try:
            Tickets(tmp_path).take(token)
        except Forbidden:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(one, range(64))) == 1


def test_a_token_that_is_over_is_burnt(tmp_path: Path) -> None:
    vault = Tickets(tmp_path)
    token = vault.give(ticket(expires_s=-1))
    with pytest.raises(Forbidden):
        vault.take(token)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["", "x", "../" * 14 + "x", "A" * 43, "A" * 44, "é" * 43, "\0"])
def test_a_token_that_was_never_given_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(Forbidden):
        Tickets(tmp_path).take(token)


def test_all_refusals_read_alike(tmp_path: Path) -> None:
    vault = Tickets(tmp_path)
    used, over = vault.give(ticket()), vault.give(ticket(expires_s=-1))
    vault.take(used)
    told = set()
    for token in (used, over, "A" * 43, "?"):
        with pytest.raises(Forbidden) as raised:
            vault.take(token)
        told.add(raised.value.message)
        assert token not in raised.value.message or token == "?"
    assert len(told) == 1


def test_the_folder_tells_neither_tokens_nor_logins(tmp_path: Path) -> None:
    folder = tmp_path / "consoles"
    token = Tickets(folder).give(ticket())
    (file,) = folder.iterdir()
    content = file.read_bytes()
    assert token not in file.name
    assert not any(secret in content for secret in (token.encode(), b"password", b"inst1", b"mock"))
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert "password" not in repr(ticket())


def test_a_ticket_that_was_changed_is_refused(tmp_path: Path) -> None:
    vault = Tickets(tmp_path)
    token = vault.give(ticket())
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    with pytest.raises(Forbidden):
        vault.take(token)


def test_two_tickets_of_the_same_content_look_different(tmp_path: Path) -> None:
    vault, given = Tickets(tmp_path), ticket()
    assert vault.give(given) != vault.give(given)
    one, other = (file.read_bytes() for file in tmp_path.iterdir())
    assert one != other


def test_what_is_over_is_swept_and_what_is_not_stays(tmp_path: Path) -> None:
    vault = Tickets(tmp_path)
    vault.give(ticket(expires_s=-1))
    left = vault.give(ticket(instance_id="left"))
    vault.give(ticket())
    assert len(list(tmp_path.iterdir())) == 2
    assert vault.take(left).instance_id == "left"


def test_tickets_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "MOST_TICKETS", 2)
    vault = Tickets(tmp_path)
    vault.give(ticket())
    vault.give(ticket())
    with pytest.raises(Throttled):
        vault.give(ticket())


def test_a_login_that_is_no_unicode_does_no_harm(tmp_path: Path) -> None:
    with pytest.raises((CloudError, UnicodeEncodeError)):
        Tickets(tmp_path).give(ticket(instance_id="\ud800"))
