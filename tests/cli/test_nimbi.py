"""The command `nimbi`: what it prints, and with which status it ends."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nimbi.cli.main import main
from nimbi.cli.parts import PARTS, THINGS
from nimbi.driver.capabilities import INTERFACES
from nimbi.settings import SETTINGS

# A server's libraries: none is of use to a command that only prints.
HEAVY = (
    *("aiohttp", "lxml", "prometheus_client", "rich", "sqlalchemy", "starlette", "structlog"),
    *("uvicorn", "uvloop"),
)
DRIVERS = ["ec2", "eucalyptus", "local", "mock", "openstack", "rackspace", "s3"]


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.env, raising=False)
    monkeypatch.setenv("NIMBI_STATE_DIR", str(tmp_path / "state"))


def nimbi(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_the_version_is_that_of_the_package() -> None:
    assert nimbi("--version").output == f"nimbi {version('nimbi')}\n"


def test_help_shows_commands_and_the_first_hour() -> None:
    said = nimbi("--help").output
    assert "Serve clouds over HTTP" in said
    assert "nimbi up  " in said


@pytest.mark.parametrize("flag", ["--help", "-h", "--version"])
def test_what_comes_before_click_says_the_same_as_click(flag: str) -> None:
    program = f"import sys; sys.argv = ['nimbi', '{flag}']; from nimbi.cli.entry import run; run()"
    program += "; assert 'click' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == nimbi(flag).output


def test_every_collection_has_a_command_with_its_own_words() -> None:
    things = {
        name.replace("-", "_"): part for name, part in PARTS.items() if part.section == THINGS
    }
    assert list(things) == [interface.name for interface in INTERFACES]
    # The command of quotas is also about those of tenants.
    for interface in (each for each in INTERFACES if each.name != "quotas"):
        told = (interface.__doc__ or "").partition("\n")[0]
        assert told.startswith(things[interface.name].text[:-1])


def test_the_help_of_serve_explains_each_setting_once() -> None:
    said = " ".join(nimbi("serve", "--help").output.split())
    for setting in SETTINGS.values():
        if setting.flags:
            assert f"variable {setting.env}" in said


@pytest.mark.parametrize(
    ("typed", "meant"), [("serv", "serve"), ("driver", "drivers"), ("credential", "credentials")]
)
def test_a_typo_in_a_command_suggests_the_nearest(typed: str, meant: str) -> None:
    done = nimbi(typed)
    assert done.exit_code == 2
    assert meant in done.output


def test_a_typo_in_a_flag_suggests_the_nearest() -> None:
    done = nimbi("serve", "--prot", "1")
    assert done.exit_code == 2
    assert "--port" in done.output


def test_drivers_are_listed_a_line_each() -> None:
    lines = nimbi("drivers").output.splitlines()
    assert [line.split("\t")[0] for line in lines] == DRIVERS


def test_the_operations_of_a_driver_are_listed() -> None:
    assert "instances.create" in nimbi("drivers", "mock").output.splitlines()


def test_an_unknown_driver_is_told_with_those_that_there_are() -> None:
    done = nimbi("drivers", "nope")
    assert done.exit_code == 1
    assert re.search(f"nope.*{', '.join(DRIVERS)}", done.output)


def test_serve_without_a_driver_names_the_drivers() -> None:
    done = nimbi("serve")
    assert done.exit_code == 1
    assert done.output.startswith("You need to specify a driver to use (-i <driver>)\n")
    assert "  mock\n" in done.output


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["-i", "nope"], f"there is no driver 'nope'; there are: {', '.join(DRIVERS)}"),
        (["-i", "mock", "-f", "cimi"], "unknown front end 'cimi'; there are: deltacloud"),
        (["-i", "mock", "--tls-cert", "x"], "HTTPS needs both a certificate"),
        (["-i", "mock", "--tls-cert", "/no", "--tls-key", "/no"], "/no: cannot be read"),
        (["-i", "mock", "-p", "70000"], "flags: port: Expected `int` <= 65535"),
        (["-i", "mock", "--workers", "2"], "keeps its cloud in the memory of one process"),
        (["-i", "mock", "-c", "/no.toml"], "/no.toml: cannot be read"),
        (["-i", "mock", "-r", "192.0.2.1", "-p", "0"], "cannot listen on 192.0.2.1:0"),
    ],
)
def test_serve_refuses_what_cannot_be_in_one_line(flags: list[str], told: str) -> None:
    done = nimbi("serve", *flags)
    assert done.exit_code == 1
    assert told in done.output
    assert len(done.output.splitlines()) == 1


def test_a_file_is_refused_by_its_driver_s_part_too(tmp_path: Path) -> None:
    file = tmp_path / "nimbi.toml"
    file.write_text('[drivers.mock]\nstorrage = "x"\n')
    done = nimbi("serve", "-i", "mock", "--config", str(file))
    assert done.exit_code == 1
    assert "mock" in done.output
    assert "storrage" in done.output


def test_a_part_for_a_driver_that_is_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "nimbi.toml"
    file.write_text("[drivers.mok]\n")
    done = nimbi("serve", "-i", "mock", "--config", str(file))
    assert done.exit_code == 1
    assert "there is no driver 'mok'" in done.output


def test_the_login_of_the_local_cloud_is_shown_and_stays(tmp_path: Path) -> None:
    first = nimbi("credentials", "local")
    assert first.exit_code == 0
    assert str(tmp_path / "state" / "local") in first.output
    assert nimbi("credentials", "local").output == first.output
    user, password = nimbi("credentials", "local", "--basic").output.strip().split(":")
    assert user in first.output
    assert password in first.output


def test_a_cloud_elsewhere_has_no_login_here() -> None:
    done = nimbi("credentials", "mock")
    assert done.exit_code == 1
    assert "has no login of its own" in done.output


@pytest.mark.parametrize("command", ["nimbi.cli.main", "nimbi.cli.deltacloudd"])
def test_a_command_starts_without_what_only_a_server_needs(command: str) -> None:
    program = f"import sys, {command}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint(HEAVY)
