"""Keys: made, imported, refused."""

import pytest

from nimbi.drivers.mock.keys import MockKeys
from nimbi.drivers.mock.session import Session
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.keys import NewKey

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g me@home"


async def test_the_private_part_is_told_once(session: Session) -> None:
    keys = MockKeys(session)
    made = await keys.create(NewKey(name="web"))
    assert (made.id, made.name) == ("web", "web")
    assert made.private_key is not None
    assert made.private_key.splitlines()[0].startswith("-----BEGIN")
    again = await keys.get("web")
    assert (again.private_key, again.fingerprint) == (None, made.fingerprint)
    assert len((again.fingerprint or "").split(":")) == 16


async def test_two_keys_differ(session: Session) -> None:
    keys = MockKeys(session)
    one, other = await keys.create(NewKey(name="a")), await keys.create(NewKey(name="b"))
    assert one.fingerprint != other.fingerprint
    assert one.private_key != other.private_key


async def test_a_public_key_is_imported(session: Session) -> None:
    made = await MockKeys(session).create(NewKey(name="mine", public_key=PUBLIC + "\n"))
    assert (made.public_key, made.private_key) == (PUBLIC, None)


async def test_a_made_public_key_can_be_imported(session: Session) -> None:
    keys = MockKeys(session)
    made = await keys.create(NewKey(name="one"))
    imported = await keys.create(NewKey(name="two", public_key=made.public_key))
    assert imported.fingerprint == made.fingerprint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-rsa " + PUBLIC.split()[1],
        PUBLIC + "\n" + PUBLIC,
        "rsa AAAA",
        "ssh-ed25519 ä",
        "ssh-rsa " + "A" * 20_000,
    ],
)
async def test_what_is_no_public_key_is_invalid(session: Session, text: str) -> None:
    with pytest.raises(Invalid):
        await MockKeys(session).create(NewKey(name="mine", public_key=text))


async def test_a_name_in_use_is_a_conflict(session: Session) -> None:
    keys = MockKeys(session)
    with pytest.raises(Conflict):
        await keys.create(NewKey(name="test-key"))
    await keys.create(NewKey(name="clé / 鍵"))
    with pytest.raises(Conflict):
        await keys.create(NewKey(name="clé / 鍵"))


async def test_a_name_that_no_url_should_hold_gets_a_plain_id(session: Session) -> None:
    made = await MockKeys(session).create(NewKey(name="clé / 鍵"))
    assert (made.name, made.id) == ("clé / 鍵", "key1")


async def test_a_key_is_destroyed_once(session: Session) -> None:
    keys = MockKeys(session)
    await keys.destroy("test-key")
    with pytest.raises(NotFound):
        await keys.destroy("test-key")
    with pytest.raises(NotFound):
        await keys.get("test-key")
