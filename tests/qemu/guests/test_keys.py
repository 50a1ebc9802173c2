"""Key pairs."""

import subprocess
from pathlib import Path

import pytest

from nimbi.qemu import Conflict, Invalid, KeyStore, NotFound
from nimbi.qemu.guests.keys import fingerprint, generate, normalized

DSA = "ssh-dss AAAAB3NzaC1kc3MAAAAA"


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_openssh_reads_the_private_key_and_agrees_on_the_fingerprint(kind, tmp_path: Path):
    public, private = generate(kind)
    file = tmp_path / "key"
    file.write_text(private)
    file.chmod(0o600)
    derived = subprocess.check_output(["ssh-keygen", "-y", "-f", file], text=True)
    assert derived.split()[:2] == public.split()[:2]
    (tmp_path / "key.pub").write_text(public)
    listed = subprocess.check_output(["ssh-keygen", "-l", "-f", tmp_path / "key.pub"], text=True)
    assert listed.split()[1] == fingerprint(public)


@pytest.mark.parametrize("name", ["a", "../../etc/passwd", "Größe ✓", "a/b", ".", "x" * 255])
def test_any_printable_name_is_kept_and_never_a_path(tmp_path: Path, name):
    store = KeyStore(tmp_path / "keys")
    made, private = store.create(name)
    assert store.get(name) == made
    assert store.all() == [made]
    assert [file.parent for file in tmp_path.rglob("*.json")] == [tmp_path / "keys"]
    assert all(private.strip() not in file.read_text() for file in tmp_path.rglob("*.json"))
    with pytest.raises(Conflict):
        store.create(name)
    store.remove(name)
    assert list((tmp_path / "keys").iterdir()) == []
    for again in (store.remove, store.get):
        with pytest.raises(NotFound):
            again(name)


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "\ud800"])
def test_a_bad_name_is_refused(tmp_path: Path, name):
    with pytest.raises(Invalid):
        KeyStore(tmp_path).create(name)


@pytest.mark.parametrize(
    "line", ["", "ssh-rsa", "ssh-rsa AAAA", "ssh-ed25519 é", DSA, "a b\nc d", "x" * 20_000]
)
def test_what_is_no_public_key_is_refused(line):
    with pytest.raises(Invalid):
        normalized(line)


def test_a_comment_is_left_out():
    public, _ = generate("ed25519")
    assert normalized(f"  {public} me@here; rm -rf /\n") == public
