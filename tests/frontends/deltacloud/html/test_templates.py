import re
from importlib.resources import files

import pytest

from nimbi.frontends.deltacloud.html import environment as module
from nimbi.frontends.deltacloud.html.pages import stylesheet

FOLDER = files(module.__package__).joinpath("templates")
NAMES = sorted(item.name for item in FOLDER.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_every_link_of_a_template_passes_the_filter(name: str) -> None:
    source = FOLDER.joinpath(name).read_text("utf-8")
    for target in re.findall(r'\b(?:href|src|action|formaction|poster|data)="([^"]*)"', source):
        assert re.fullmatch(r"\{\{ [a-z_.]+\|local \}\}|#main", target), target


@pytest.mark.parametrize("name", NAMES)
def test_no_template_turns_escaping_off_or_leaves_a_value_unquoted(name: str) -> None:
    source = FOLDER.joinpath(name).read_text("utf-8")
    assert not re.search(r"\bsafe\b|autoescape|Markup|<script|<style|\son\w+=", source)
    assert not re.search(r"=\{\{|='\{\{", source)


def test_the_style_sheet_needs_nothing_from_elsewhere() -> None:
    text = stylesheet().decode("utf-8")
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert text.count("{") == text.count("}")


def test_templates_are_compiled_only_for_a_page() -> None:
    """Whoever never asks for HTML does not pay for it at start-up."""
    import subprocess
    import sys

    code = "import sys, nimbi.frontends.deltacloud.html.pages; assert 'jinja2' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
