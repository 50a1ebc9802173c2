"""The commands `nimbi local`: what they print, and with which status they end."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nimbi.blobstore import NewBlob, open_store
from nimbi.cli.local.words import size
from nimbi.cli.main import main
from nimbi.settings import SETTINGS

VERSION_1 = Path(__file__).parents[1] / "qemu" / "state" / "version_1"
GUEST, IMAGE = "i-628b49d96dcde97a", "img-c5cd2c2f0af9d143"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a state directory of the server in which the local cloud has guests and an image."""
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.env, raising=False)
    monkeypatch.setenv("NIMBI_STATE_DIR", str(tmp_path / "state"))
    root = tmp_path / "state" / "local"
    shutil.copytree(VERSION_1, root)
    root.chmod(0o700)
    return root


def local(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["local", *arguments])


def leave_workspace(state: Path) -> Path:
    work = state / "images" / ".new-abcd"
    work.mkdir()
    (work / "disk.raw").write_bytes(b"x" * 5000)
    return work


def test_help_names_all_commands_with_examples() -> None:
    said = local("--help").output
    for command in ("doctor", "gc", "images", "status"):
        assert f"nimbi local {command}" in said or f"  {command} " in said
    assert "NIMBI_STATE_DIR" in said


@pytest.mark.parametrize("command", [("doctor",), ("gc",), ("images",), ("status",)])
def test_each_command_teaches_by_examples(command: tuple[str, ...]) -> None:
    assert "Examples:" in local(*command, "--help").output


def test_the_doctor_tells_a_line_a_check() -> None:
    done = local("doctor")
    told = [line.split()[0] for line in done.output.splitlines() if not line.startswith(" ")]
    assert set(told) <= {"ok", "limited", "missing"}
    assert "state directory" in done.output


def test_the_doctor_s_json_says_the_same_as_its_lines() -> None:
    told = json.loads(local("doctor", "--json").output)
    lines = local("doctor").output
    assert {"check", "verdict", "essential", "found", "follows", "mend"} == set(told[0])
    for each in told:
        assert f"{each['check']}: " in lines


def test_the_doctor_ends_with_1_when_no_guest_can_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = local("doctor")
    assert done.exit_code == 1
    assert "mend: apt install qemu-system-x86" in done.output


def test_gc_without_waste_says_nothing() -> None:
    done = local("gc")
    assert (done.exit_code, done.output) == (0, "")


def test_a_dry_run_lists_and_removes_nothing(state: Path) -> None:
    work = leave_workspace(state)
    for _ in range(2):
        done = local("gc", "--dry-run")
        kind, room, what, why = done.output.rstrip("\n").split("\t")
        assert (kind, what, why) == ("workspace", "images/.new-abcd", "its builder was killed")
        assert int(room) >= 5000
    assert work.exists()


def test_gc_removes_and_tells_what(state: Path) -> None:
    work = leave_workspace(state)
    assert "images/.new-abcd" in local("gc").output
    assert not work.exists()
    assert local("gc", "--dry-run").output == ""


async def write_blob(root: Path) -> None:
    async with open_store(root) as store:
        await store.buckets.create("photos")
        await store.blobs.write(NewBlob(bucket="photos", name="sea"), chunks())


async def chunks() -> AsyncIterator[bytes]:
    yield b"a wave"


def test_contents_that_no_blob_has_are_removed_and_blobs_stay(state: Path) -> None:
    root = state / "blobs"
    asyncio.run(write_blob(root))
    kept = list(root.glob("contents/*/*"))
    stray = root / "contents" / "00" / "0000"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"of nobody")
    assert "blobs: 0000\tno blob has it" in local("gc", "--dry-run").output
    assert stray.exists()
    assert "blobs: 0000" in local("gc").output
    assert not stray.exists()
    assert list(root.glob("contents/*/*")) == kept


def test_guests_are_told_without_a_server(state: Path) -> None:
    before = (state / "guests" / GUEST / "record.json").read_bytes()
    told = json.loads(local("status", "--json").output)
    assert {guest["name"]: guest["state"] for guest in told["guests"]} == {
        "Größe ✓": "stopped",
        "runs": "stopped",
    }
    assert f"{GUEST}\tstopped\t" in local("status").output
    assert (state / "guests" / GUEST / "record.json").read_bytes() == before


def test_images_are_told_without_a_server() -> None:
    assert local("images", "list").output == f"{IMAGE}\tavailable\tdemo\n"
    [told] = json.loads(local("images", "list", "--json").output)
    assert (told["id"], told["disk_bytes"]) == (IMAGE, 64 * 2**20)


@pytest.mark.parametrize("command", [("status",), ("images", "list"), ("gc", "--dry-run")])
def test_a_cloud_that_was_never_used_is_empty_and_not_made(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    done = local("--state-dir", str(tmp_path / "other"), *command)
    assert (done.exit_code, done.output) == (0, "")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("command", [("status",), ("images", "list"), ("gc",)])
def test_a_directory_of_a_newer_nimbi_is_refused_in_one_line(
    state: Path, command: tuple[str, ...]
) -> None:
    (state / "schema.json").write_text('{"version": 1000}')
    done = local(*command)
    assert done.exit_code == 1
    assert "newer Nimbi" in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused_in_one_line(state: Path) -> None:
    os.chown(state, 65534, 65534)
    done = local("gc")
    assert done.exit_code == 1
    assert "belongs to nobody" in done.output


def test_the_settings_file_tells_where_the_cloud_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NIMBI_STATE_DIR")
    file = tmp_path / "nimbi.toml"
    file.write_text(f'[server]\nstate_dir = "{tmp_path / "state"}"\n')
    assert GUEST in local("--config", str(file), "status").output


def test_a_wrong_setting_of_the_driver_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "nimbi.toml"
    file.write_text("[drivers.local]\nnetwrok = 1\n")
    done = local("--config", str(file), "status")
    assert done.exit_code == 1
    assert "netwrok" in done.output
    assert len(done.output.splitlines()) == 1


def test_commands_about_other_things_load_no_qemu() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from nimbi.cli.main import main;"
        "CliRunner().invoke(main, ['--help']); CliRunner().invoke(main, ['local', '--help']);"
        "print([m for m in sys.modules if m.startswith(('nimbi.qemu', 'nimbi.drivers', 'rich'))])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


@pytest.mark.parametrize(
    ("count", "told"), [(0, ""), (5, "5 B"), (1536, "1.5 KiB"), (10 * 2**30, "10 GiB")]
)
def test_sizes_are_told_with_their_unit(count: int, told: str) -> None:
    assert size(count) == told


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Give a raw disk image with a boot sector and nothing else."""
    file = tmp_path / "disk.raw"
    file.write_bytes(b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa" + bytes(2**20 - 512))
    return file


def test_an_image_is_imported_told_by_its_id_and_removed(disk: Path) -> None:
    done = local("images", "import", str(disk), "--name", "mine")
    assert done.exit_code == 0, done.output
    id = done.stdout.strip()
    assert f"{id}\tavailable\tmine\n" in local("images", "list").output
    assert local("images", "import", str(disk), "--name", "other").stdout.strip() == id
    assert local("images", "remove", id).exit_code == 0
    assert id not in local("images", "list").output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["/nowhere.qcow2"], "there is no file"),
        (["DISK", "--sha256", "0" * 64], "not the one that was given"),
        (["DISK", "--sha256", "12"], "sha256 is not a digest"),
        (["DISK", "--user", "no user"], "login_user is not a user's name"),
    ],
)
def test_an_image_that_can_t_be_imported_is_told_in_one_line(
    disk: Path, arguments: list[str], told: str
) -> None:
    words = [str(disk) if word == "DISK" else word for word in arguments]
    done = local("images", "import", *words)
    assert done.exit_code == 1
    assert told in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_an_image_that_guests_need_is_kept_and_they_are_named() -> None:
    done = local("images", "remove", IMAGE)
    assert done.exit_code == 1
    assert GUEST in done.output


def test_an_unknown_builder_is_told_with_those_that_there_are() -> None:
    done = local("images", "build", "windows")
    assert done.exit_code == 2
    assert "'demo', 'debian'" in done.output


def test_a_build_without_its_programs_names_the_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = local("images", "build", "debian")
    assert done.exit_code == 1
    assert "apt install" in done.stderr
    assert done.stdout == ""
