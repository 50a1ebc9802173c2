"""Every code block in the docs runs, page by page, from top to bottom."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What a block holds when it is not a program to run.
SHOWN = {"text", "xml", "json", "toml", "yaml", "mermaid"}
# A block with a title is a file that the page makes: title="nimbi_shelf/session.py".
TITLE = re.compile(r'title="([\w./]+)"')
# The two commands are run by CI itself and by tests/test_demo.py; make within make would recurse.
RUN_ELSEWHERE = {"make demo\nmake test\n", "make demo\n", "make test\n"}


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Return kind, title and body of what is run; only a file has a title."""
    titled = [
        (kind, title[1] if (title := TITLE.search(rest)) else "", body)
        for kind, rest, body in BLOCK.findall(page.read_text())
    ]
    return [(k, t, b) for k, t, b in titled if t or (k not in SHOWN and b not in RUN_ELSEWHERE)]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def script(page: Path, port: int) -> str:
    """Return one shell script that runs the page's blocks, with a free port in place of 3001."""
    parts = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT"]
    for kind, title, body in blocks(page):
        if title:
            parts.append(
                f"mkdir -p $(dirname {title})\ncat > {title} <<'PAGE_FILE'\n{body}PAGE_FILE"
            )
        elif kind == "python":
            parts.append(f"python - <<'PAGE_BLOCK'\n{body}PAGE_BLOCK")
        else:
            parts.append(body)
    return "\n".join(parts).replace("3001", str(port))


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p)], ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_code_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "NIMBI_STATE_DIR": str(tmp_path / "state"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # What a page installs goes to a folder of its own, and nothing is fetched for it.
        "PIP_TARGET": str(tmp_path / "installed"),
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PYTHONPATH": str(tmp_path / "installed"),
    }
    done = subprocess.run(
        ["bash", "-c", script(page, free_port())],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_every_kind_of_block_is_run_or_known_to_be_shown_only() -> None:
    kinds = {k for page in PAGES for k, _, _ in BLOCK.findall(page.read_text())}
    assert kinds <= SHOWN | {"python", "sh"}
