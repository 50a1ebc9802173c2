"""What is in deploy/: each number it names is one that the server tells, and each file is sound."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.server.test_server import _as_before, lived

from nimbi.cli.parts import PARTS
from nimbi.server import build_app
from nimbi.settings import SETTINGS, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "nimbi.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "nimbi.json"
UNITS = sorted((DEPLOY / "systemd").glob("nimbi*.[st]*[er]"))
CONTAINERFILE = DEPLOY / "Containerfile"
RUN = "from nimbi.cli.entry import run; run()"
INSTALLED = "/usr/local/bin/nimbi"

NUMBER = re.compile(r"\b(?:nimbi|process)_[a-z_]+|\bup\b")
TYPE = re.compile(r"^# TYPE (\S+) (\w+)$", re.MULTILINE)
COMMAND = re.compile(r"\bnimbi ([a-z-]+)")
# Prometheus' own, and the name of our job.
KNOWN = {"up"}

restored = pytest.fixture(autouse=True)(_as_before.__wrapped__)  # type: ignore[attr-defined]


def needed(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        missing = f"{program} is not installed (Debian: {package})"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    return found


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from group["rules"]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def dashboard_expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


async def told_by_the_server(tmp_path: Path) -> set[str]:
    """Return the names of all numbers that a server with accounts tells."""
    settings = Settings(
        driver="nimbi",
        frontends=("native", "consoles"),
        log=str(tmp_path / "log"),
        state_dir=str(tmp_path / "state"),
        polls=False,
    )
    async with lived(build_app(settings)) as client:
        text = (await client.get("/metrics")).text
    names = set()
    for name, kind in TYPE.findall(text):
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        names |= {name + part for part in parts}
    return names


async def test_every_number_in_the_dashboard_and_the_alerts_is_told_by_the_server(
    tmp_path: Path,
) -> None:
    told = await told_by_the_server(tmp_path)
    expressions = [*dashboard_expressions(), *(rule["expr"] for rule in rules())]
    named = {name for each in expressions for name in NUMBER.findall(re.sub(r'"[^"]*"', "", each))}
    assert len(named) > 40
    assert named - told - KNOWN == set()


async def test_every_number_of_the_database_is_shown(tmp_path: Path) -> None:
    told = {name for name in await told_by_the_server(tmp_path) if name.startswith("nimbi_")}
    shown = {name for each in dashboard_expressions() for name in NUMBER.findall(each)}
    # Sums and counts come with the buckets.
    assert {n for n in told - shown if not n.endswith(("_sum", "_count"))} == set()


def test_alerts_say_what_is_wrong_and_how_to_mend_it_by_commands_that_there_are() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, rule
        told = rule["annotations"]
        assert told["summary"], rule
        assert set(COMMAND.findall(told["mend"])) <= set(PARTS), told


def test_prometheus_can_read_the_alerts() -> None:
    check = [needed("promtool", "prometheus"), "check", "rules", RULES]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_can_read_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    written = [
        {"record": f"panel:{number}", "expr": each.replace("$__rate_interval", "5m")}
        for number, each in enumerate(dashboard_expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": written}]}))
    check = [needed("promtool", "prometheus"), "check", "rules", file]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_do_not_lie_on_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for panel in panels():
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                other = taken.setdefault((x, y), panel["title"])
                assert other == panel["title"]


def test_systemd_finds_nothing_wrong_in_the_units(tmp_path: Path) -> None:
    program = needed("systemd-analyze", "systemd")
    assert {unit.name for unit in UNITS} >= {"nimbi.service", "nimbi@.service"}
    installed = str(Path(sys.executable).with_name("nimbi"))
    copies = []
    for unit in UNITS:
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(unit.read_text().replace(INSTALLED, installed))
    done = subprocess.run([program, "verify", *copies], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def flags_of(text: str) -> list[list[str]]:
    """Return the words of each command `nimbi …` in a unit."""
    lines = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    return [shlex.split(line.partition(INSTALLED)[2].rstrip("'")) for line in lines]


def test_units_start_commands_that_there_are() -> None:
    for unit in UNITS:
        for words in flags_of(unit.read_text()):
            assert words[0] in PARTS, unit.name
            help_text = subprocess.run(
                [sys.executable, "-c", RUN, words[0], "--help"],
                capture_output=True,
                text=True,
            ).stdout
            for word in words[1:]:
                assert not word.startswith("--") or word in help_text, (unit.name, word)


def test_variables_of_units_and_of_the_container_are_settings() -> None:
    known = {setting.env for setting in SETTINGS.values()}
    texts = [*(unit.read_text() for unit in UNITS), CONTAINERFILE.read_text()]
    named = {name for text in texts for name in re.findall(r"\b((?:NIMBI|API)_[A-Z_]+)=", text)}
    assert named - known == set()
    assert "NIMBI_STATE_DIR" in named


def test_the_container_is_made_of_what_there_is() -> None:
    text = CONTAINERFILE.read_text()
    allowed = (ROOT / ".containerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in allowed
    # It runs as nobody in particular, and keeps all in its volume.
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    assert "NIMBI_STATE_DIR=/state" in text
    assert re.search(r"^VOLUME /state$", text, re.MULTILINE)


def test_haproxy_can_read_its_settings() -> None:
    check = [needed("haproxy", "haproxy"), "-c", "-f", DEPLOY / "haproxy" / "nimbi.cfg"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
