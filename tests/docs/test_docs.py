"""The docs name everything that the code has, and nothing that it has not."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nimbi.cli.main import PARTS
from nimbi.driver.capabilities import BY_ID, INTERFACES, features
from nimbi.gateway.registry import Registry
from nimbi.model.errors import ERRORS
from nimbi.settings import SETTINGS

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
GENERATED = [p for p in PAGES if "[[[cog" in p.read_text()]


def headings(page: str) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text(), re.MULTILINE))


def test_every_operation_has_a_heading() -> None:
    assert set(BY_ID) <= headings("reference/operations.md")


def test_every_error_has_a_heading() -> None:
    assert {error.__name__ for error in ERRORS} <= headings("reference/errors.md")


def test_every_setting_has_a_heading() -> None:
    assert set(SETTINGS) <= headings("reference/settings.md")


def test_every_command_has_a_heading() -> None:
    assert {f"nimbi {name}" for name in PARTS} <= headings("reference/commands.md")


def test_every_feature_of_a_driver_has_a_heading() -> None:
    registry = Registry()
    declared = {
        f"{interface.name}.{feature}"
        for name in registry.names()
        for interface in INTERFACES
        for feature in features(registry.driver(name), interface)
    }
    assert declared <= headings("reference/features.md")


def test_every_driver_has_a_page() -> None:
    assert {f"{name}.md" for name in Registry().names()} <= {
        p.name for p in (ROOT / "docs" / "drivers").iterdir()
    }


def test_generated_parts_are_what_the_code_gives_now() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", *map(str, GENERATED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_resolve(page: Path) -> None:
    targets = [target for target, _ in LINK.findall(page.read_text())]
    assert [t for t in targets if not (page.parent / t).exists()] == []
