"""What is sealed is opened by its key and for its record, and by nothing else."""

from pathlib import Path

import pytest

from nimbi.store.errors import SealError, UnknownKey
from nimbi.store.keys import KeySource, ensure_key_file, key_source, new_key, parsed
from nimbi.store.sealing import Keyring, Sealed

OLD, NEW = new_key(), new_key()


def test_what_is_sealed_is_opened_again_and_is_not_seen() -> None:
    ring = Keyring.of(OLD)
    sealed = ring.seal(b"hush", "account/a")
    assert ring.open(sealed, "account/a") == b"hush"
    assert b"hush" not in sealed.body


def test_the_same_is_never_sealed_to_the_same() -> None:
    ring = Keyring.of(OLD)
    assert ring.seal(b"hush", "a").body != ring.seal(b"hush", "a").body


def test_what_one_record_holds_is_not_opened_for_another() -> None:
    ring = Keyring.of(OLD)
    with pytest.raises(SealError):
        ring.open(ring.seal(b"hush", "account/a"), "account/b")


def test_no_byte_of_it_can_be_changed() -> None:
    ring = Keyring.of(OLD)
    sealed = ring.seal(b"hush", "a")
    for at in range(len(sealed.body)):
        body = bytearray(sealed.body)
        body[at] ^= 1
        with pytest.raises(SealError):
            ring.open(Sealed(sealed.key_id, bytes(body)), "a")
    for cut in (b"", sealed.body[:-1]):
        with pytest.raises(SealError):
            ring.open(Sealed(sealed.key_id, cut), "a")


def test_another_key_of_the_same_name_does_not_open_it() -> None:
    name = OLD.partition(":")[0]
    other = f"{name}:{NEW.partition(':')[2]}"
    with pytest.raises(SealError, match="did not seal it"):
        Keyring.of(other).open(Keyring.of(OLD).seal(b"hush", "a"), "a")


def test_a_key_that_is_not_given_is_named() -> None:
    with pytest.raises(UnknownKey, match=OLD.partition(":")[0]):
        Keyring.of(NEW).open(Keyring.of(OLD).seal(b"hush", "a"), "a")


def test_the_first_key_seals_and_the_others_open() -> None:
    both = Keyring.of(f"{NEW}\n{OLD}")
    before = Keyring.of(OLD).seal(b"hush", "a")
    after = both.resealed(before, "a")
    assert both.open(before, "a") == b"hush"
    assert after.key_id == both.current == NEW.partition(":")[0]
    assert Keyring.of(NEW).open(after, "a") == b"hush"


def test_a_keyring_shows_no_key() -> None:
    ring = Keyring.of(OLD)
    source = KeySource(variable=OLD)
    assert OLD.partition(":")[2] not in f"{ring!r} {ring} {source!r} {source}"


@pytest.mark.parametrize(
    "text",
    [f"# mine\n{NEW}\n\n{OLD} # the old one\n", f" {NEW}, {OLD}"],
    ids=["lines", "commas"],
)
def test_keys_are_read_from_lines_or_between_commas(text: str) -> None:
    assert list(parsed(text, "here")) == [key.partition(":")[0] for key in (NEW, OLD)]


@pytest.mark.parametrize(
    "text",
    ["", "# none", "hush", "id:hush", f"{OLD}\n{OLD}", OLD[:-4], f"two words:{OLD}"],
    # Keys differ in each process, and the names of tests must not.
    ids=["nothing", "a remark", "a word", "too short", "twice", "cut off", "two words"],
)
def test_what_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SealError) as raised:
        parsed(text, "the file")
    assert "hush" not in str(raised.value)
    assert OLD.partition(":")[2] not in str(raised.value)


async def test_a_key_file_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "nimbi.key"
    assert await ensure_key_file(file)
    first = (await Keyring.from_settings(KeySource(file))).current
    assert not await ensure_key_file(file)
    assert (await Keyring.from_settings(KeySource(file))).current == first
    assert [(p.name, p.stat().st_mode & 0o777) for p in file.parent.iterdir()] == [
        ("nimbi.key", 0o600)
    ]


async def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(OLD)
    file.chmod(0o640)
    with pytest.raises(SealError, match="give it mode 0600"):
        await Keyring.from_settings(KeySource(file))


async def test_keys_come_from_a_command_before_the_variable_before_the_file(
    tmp_path: Path,
) -> None:
    file, third = tmp_path / "key", new_key()
    file.write_text(third)
    file.chmod(0o600)

    async def current(command: str | None, environment: dict[str, str]) -> str:
        return (await Keyring.from_settings(key_source(file, environment, command))).current

    keys = [key.partition(":")[0] for key in (NEW, OLD, third)]
    given = {"NIMBI_KEY": OLD}
    assert [
        await current(f"echo {NEW}", given),
        await current(None, given),
        await current(None, {}),
    ] == keys


@pytest.mark.parametrize("command", ["exit 3", "printf '\\377'", "true"])
async def test_a_command_that_gives_no_key_is_told(command: str) -> None:
    with pytest.raises(SealError, match="key command"):
        await Keyring.from_settings(KeySource(command=command))


async def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="No such file"):
        await Keyring.from_settings(KeySource(tmp_path / "key"))


async def test_a_keyring_sees_a_key_that_was_added_to_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(OLD)
    file.chmod(0o600)
    ring = await Keyring.from_settings(KeySource(file))
    file.write_text(f"{NEW}\n{OLD}\n")
    assert (await ring.refreshed()).current == NEW.partition(":")[0]
