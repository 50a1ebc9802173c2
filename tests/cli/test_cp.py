"""`nimbi cp`: up, down, across, and on from where a copy broke off."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Nimbi

from nimbi.cli.copying import up as copying_up
from nimbi.cli.copying.memory import Memory
from nimbi.cli.copying.places import Blob, File, Stream, parsed
from nimbi.cli.errors import STATUSES
from nimbi.cli.remote import Remote, find, open_remote

CONTENT = os.urandom(300_000)


@pytest.fixture
def bucket(nimbi: Nimbi) -> Iterator[str]:
    """Give an empty bucket of the mock cloud, `mock:NAME/`."""
    name = f"b{os.urandom(4).hex()}"
    assert nimbi("buckets", "create", name).exit_code == 0
    yield f"mock:{name}/"
    assert nimbi("buckets", "list").exit_code == 0


@pytest.fixture
def remote(home: Path) -> Iterator[Remote]:
    opened = open_remote(find())
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sea.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a copy be made in parts that a test can afford."""
    monkeypatch.setattr(copying_up, "IN_PARTS_BYTES", 100_000)
    monkeypatch.setattr(copying_up, "PART_BYTES", 100_000)


def test_places_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b").touch()
    assert parsed("aws:b/k/x") == Blob("aws", "b", "k/x")
    assert parsed("aws:b") == Blob("aws", "b", "")
    assert parsed("-") == Stream()
    for told in ("a:b", "./aws:b/k", "/tmp/aws:b", "file"):
        assert isinstance(parsed(told), File)


def test_a_key_is_one_part_of_a_path_whatever_is_in_it() -> None:
    assert Blob("a", "b", "x/../y z%").path == "/v1/accounts/a/buckets/b/blobs/x%2F..%2Fy%20z%25"
    assert Blob("a", "b", "..").path.endswith("/blobs/%2E%2E")


def test_a_file_goes_up_and_comes_down_the_same(
    nimbi: Nimbi, bucket: str, file: Path, tmp_path: Path
) -> None:
    assert nimbi("cp", str(file), bucket).exit_code == 0
    down = tmp_path / "down"
    assert nimbi("cp", f"{bucket}sea.bin", str(down)).exit_code == 0
    assert down.read_bytes() == CONTENT
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["down", "sea.bin"]


def test_pipes_go_both_ways(nimbi: Nimbi, bucket: str) -> None:
    assert nimbi("cp", "-", f"{bucket}pipe", input=CONTENT).exit_code == 0
    assert nimbi("cp", f"{bucket}pipe", "-").stdout_bytes == CONTENT


def test_folders_go_with_all_that_is_in_them(nimbi: Nimbi, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "ä b").write_text("one")
    (tmp_path / "in" / "two").write_text("two")
    assert nimbi("cp", "-r", str(tmp_path / "in"), f"{bucket}x/").exit_code == 0
    assert nimbi("cp", "-r", f"{bucket}x/", str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "out" / "deep" / "ä b").read_text() == "one"
    assert (tmp_path / "out" / "two").read_text() == "two"


def test_a_key_cannot_lead_out_of_the_folder(
    nimbi: Nimbi, bucket: str, file: Path, tmp_path: Path
) -> None:
    assert nimbi("cp", str(file), f"{bucket}a/../../evil").exit_code == 0
    done = nimbi("cp", "-r", f"{bucket}a/", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert "outside" in done.output
    assert not (tmp_path / "evil").exists()


def test_a_copy_within_one_cloud_is_the_cloud_s(nimbi: Nimbi, bucket: str, file: Path) -> None:
    assert nimbi("cp", str(file), bucket).exit_code == 0
    assert nimbi("cp", f"{bucket}sea.bin", f"{bucket}copy/").exit_code == 0
    assert nimbi("cp", f"{bucket}copy/sea.bin", "-").stdout_bytes == CONTENT


@pytest.mark.usefixtures("_small_parts")
def test_an_upload_that_broke_off_goes_on_with_the_part_that_lacks(
    nimbi: Nimbi, bucket: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    whole = Remote.stream

    def breaks(self: Remote, method: str, path: str, *told: Any, **named: Any) -> Any:
        if "/segments/" in path:
            sent.append(path.rpartition("/")[2])
            if sent.count("2") == 1 and sent[-1] == "2":
                raise KeyboardInterrupt
        return whole(self, method, path, *told, **named)

    monkeypatch.setattr(Remote, "stream", breaks)
    assert nimbi("cp", str(file), bucket).exit_code == 130
    assert sorted(sent) == ["1", "2", "3"]
    assert nimbi("cp", str(file), bucket).exit_code == 0
    assert sent[3:] == ["2"]
    assert nimbi("cp", f"{bucket}sea.bin", "-").stdout_bytes == CONTENT


@pytest.mark.usefixtures("_small_parts")
def test_a_file_that_changed_meanwhile_is_sent_anew(
    nimbi: Nimbi, bucket: str, file: Path, remote: Remote
) -> None:
    assert nimbi("cp", str(file), bucket).exit_code == 0
    file.write_bytes(CONTENT[::-1])
    assert nimbi("cp", str(file), bucket).exit_code == 0
    assert nimbi("cp", f"{bucket}sea.bin", "-").stdout_bytes == CONTENT[::-1]


def test_a_download_that_broke_off_goes_on_where_it_was(
    nimbi: Nimbi, bucket: str, file: Path, tmp_path: Path, remote: Remote
) -> None:
    assert nimbi("cp", str(file), bucket).exit_code == 0
    down = tmp_path / "down"
    source = parsed(f"{bucket}sea.bin")
    assert isinstance(source, Blob)
    answer = remote.stream("GET", f"{source.path}/content", headers={"Accept": "*/*"})
    answer.close()
    # Bytes that the server never sent: they are in the result when it went on from here.
    (tmp_path / ".down.part").write_bytes(b"x" * 1000)
    memory = Memory("down", str(source), str(down.absolute()))
    memory.write({"etag": answer.headers["etag"]})
    assert nimbi("cp", f"{bucket}sea.bin", str(down)).exit_code == 0
    assert down.read_bytes() == b"x" * 1000 + CONTENT[1000:]
    (tmp_path / ".down.part").write_bytes(b"x" * 1000)
    memory.write({"etag": '"of another content"'})
    assert nimbi("cp", f"{bucket}sea.bin", str(down)).exit_code == 0
    assert hashlib.sha256(down.read_bytes()).digest() == hashlib.sha256(CONTENT).digest()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["mock:bucket1/nope", "x"], STATUSES["not_found"]),
        (["mock:nope/", "x"], 2),
        (["/nowhere", "mock:bucket1/x"], 1),
        (["nowhere:b/k", "x"], STATUSES["not_found"]),
        (["a", "b"], 2),
        (["-", "mock:bucket1/"], 2),
    ],
)
def test_what_cannot_be_copied_is_told_by_the_status(
    nimbi: Nimbi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int
) -> None:
    monkeypatch.chdir(tmp_path)
    done = nimbi("cp", *words)
    assert done.exit_code == status, done.output
    assert not (tmp_path / "x").exists()
