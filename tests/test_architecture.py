"""Who may import whom, how long a file may be, and what no file of the repository may hold."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "nimbi"

MAX_LINES = 500

# Files that are longer, each with its reason.
LONGER: dict[str, str] = {}

# Which libraries a part may import, besides the standard library and what its layer allows. A
# driver's SDK stands with its driver alone.
LIBRARIES = {
    "api": {"msgspec"},
    "broker/openid": {"joserfc", "msgspec"},
    "broker": {"argon2", "croniter", "httptools", "msgspec"},
    "cli/doctor": {"click", "cryptography", "msgspec", "sqlalchemy"},
    "cli": {"click", "msgspec", "rich", "yaml"},
    "client": {"aiohttp", "msgspec"},
    "connection": {"uvicorn"},
    "driver": {"msgspec"},
    "drivers/ec2": {"lxml", "msgspec", "PIL"},
    "drivers/eucalyptus": {"lxml", "msgspec"},
    "drivers/local": {"msgspec"},
    "drivers/mock": {"msgspec", "PIL"},
    "drivers/openstack": {"msgspec", "yaml"},
    "drivers/rackspace": {"msgspec"},
    "drivers/s3": {"lxml", "msgspec"},
    "drivertest": {"msgspec", "pytest"},
    "frontends/deltacloud": {"jinja2", "msgspec", "PIL", "python_multipart", "starlette"},
    "frontends/consoles": {"msgspec", "starlette"},
    "frontends/native": {"jinja2", "msgspec"},
    "gateway": {"msgspec"},
    "jobs/engine": {"dbos", "msgspec", "sqlalchemy"},
    "jobs": {"msgspec"},
    "listener": {"uvicorn"},
    "model": {"msgspec"},
    "observability/figures": {"prometheus_client", "sqlalchemy"},
    "observability": {"msgspec", "prometheus_client", "structlog"},
    "outgoing": {"uvicorn"},
    "qemu": {"cryptography", "pycdlib"},
    "server": {"starlette", "structlog"},
    "settings": {"msgspec"},
    "store": {"alembic", "cryptography", "msgspec", "sqlalchemy"},
    "wire": {"aiohttp", "lxml", "msgspec", "yarl"},
}

# Directories that hold no part of the repository.
OUTSIDE = {".git", ".venv", ".demo", "build", "dist", "node_modules", "__pycache__"}
TEXT = {".py", ".md", ".toml", ".txt", ".sh", ".html", ".css", ".yml", ".yaml", ".cfg", ""}

# Written in pieces, so that this file does not hold them itself.
FORBIDDEN = {
    "a path of one machine": re.compile(
        "|".join(["/" + "work/", "/" + "home/[a-z]", "/" + "Users/"])
    ),
    "a package registry": re.compile("|".join(["py" + "pi[.]org", "python" + "hosted[.]org"])),
    # In a string it is a word, such as the code of no currency.
    "work that is not done": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b(?!\")"),
}


def files() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(p in OUTSIDE or p.endswith("_cache") for p in parts)
        if path.is_file() and not hidden and path.suffix in TEXT and parts[0] != ".hypothesis":
            yield path


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


PYTHON = [path for path in files() if path.suffix == ".py"]
MODULES = [path for path in PYTHON if SOURCE in path.parents]


def test_imports_go_the_way_that_the_contracts_say() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_are_short_enough_to_be_read_at_once() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in PYTHON}
    assert {f: n for f, n in lengths.items() if n > MAX_LINES and f not in LONGER} == {}


def test_each_part_uses_its_own_libraries_only() -> None:
    extra = {name(path): libraries(path) - allowed(path) for path in MODULES}
    assert {file: found for file, found in extra.items() if found} == {}


def allowed(path: Path) -> set[str]:
    part = path.relative_to(SOURCE).with_suffix("")
    return next((v for k, v in LIBRARIES.items() if part.is_relative_to(k)), set())


def libraries(path: Path) -> set[str]:
    """Return the top-level packages that a file imports, without the standard library's."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"nimbi"}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    holding = [
        f"{name(path)}:{number}"
        for path in files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert holding == []


def test_the_packages_are_pinned_with_hashes_and_without_addresses() -> None:
    text = (ROOT / "constraints.txt").read_text()
    pins = re.findall(r"^(\S+?)==\S+(.*(?:\n .*)*)", text, re.MULTILINE)
    assert len(pins) > 20
    assert [pin for pin, rest in pins if "--hash=sha256:" not in rest] == []
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
