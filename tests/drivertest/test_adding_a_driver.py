"""The page that shows how to add a driver holds the files of the example, and all of them."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "driver"
FILES = sorted(
    path.relative_to(EXAMPLE).as_posix()
    for path in EXAMPLE.rglob("*")
    if path.suffix in {".py", ".toml"}
)
BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```', re.MULTILINE | re.DOTALL)


def shown() -> dict[str, str]:
    return dict(BLOCK.findall((DOCS / "adding-a-driver.md").read_text()))


def test_the_page_shows_every_file_of_the_example() -> None:
    assert sorted(shown()) == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_block_of_the_page_is_the_file(name: str) -> None:
    assert shown()[name] == (EXAMPLE / name).read_text()
