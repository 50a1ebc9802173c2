"""What `make demo` runs: one_code_two_clouds.py, unchanged, on a real cloud and on a mock."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

HERE = Path(__file__).parent
CLIENT = HERE / "one_code_two_clouds.py"
STATE = Path(os.environ.get("NIMBI_STATE_DIR") or HERE.parents[1] / ".demo").absolute()
FACTS = ("image", "profile", "instance", "running after", "address", "page", "left over")

# The mock's login is fixed; that of the local cloud is made up for this run.
LOGINS = {"local": ("demo", secrets.token_urlsafe(12)), "mock": ("mockuser", "mockpassword")}

# The page of a real machine is titled with the name that the program gave it; a made-up machine has
# a name that leads nowhere.
PAGES = {"local": "two-clouds", "mock": "none: "}

# What the program does after it told this.
STEPS = {
    "": "looking at the cloud, which may build its image first",
    "profile": "starting a machine",
    "instance": "waiting for the machine to run",
    "running after": "fetching its page",
    "page": "removing it again",
}

console = Console()


@contextmanager
def server() -> Iterator[str]:
    """Run `nimbi serve` and give its URL; afterwards it has ended, with status 0."""
    user, password = LOGINS["local"]
    logins = {"NIMBI_LOCAL_USER": user, "NIMBI_LOCAL_PASSWORD": password}
    command = [Path(sys.executable).with_name("nimbi"), "serve", "--driver", "mock", "--port", "0"]
    flags = ["--host", "127.0.0.1", "--log", STATE / "log"]
    STATE.mkdir(mode=0o700, exist_ok=True)
    process = subprocess.Popen(
        [*command, *flags],
        env=os.environ | logins | {"NIMBI_STATE_DIR": str(STATE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise SystemExit("the server did not start")
        console.print(f"[dim]{line}[/dim]")
        yield line.rpartition(" ")[2]
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=40):
            raise SystemExit(f"the server ended with status {process.returncode}")


def run(cloud: str, entry_point: str, progress: Progress) -> dict[str, str]:
    """Run the program on one cloud; return what it told, by name."""
    task = progress.add_task(f"{cloud}: {STEPS['']}", total=None)
    command = [sys.executable, CLIENT, entry_point, cloud, *LOGINS[cloud]]
    told = {"cloud": cloud}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            what, _, value = line.strip().partition(": ")
            told[what] = value
            if what in STEPS:
                progress.update(task, description=f"{cloud}: {STEPS[what]}")
        errors = process.stderr.read()
    progress.update(task, total=1, completed=1, description=f"{cloud}: done")
    if process.returncode:
        told["error"] = (errors.strip().splitlines() or ["it failed"])[-1]
    return told


def table(rows: list[dict[str, str]]) -> Table:
    """Return what the runs told, a column a cloud."""
    shown = Table(title="One program, two clouds", title_justify="left")
    shown.add_column()
    for row in rows:
        shown.add_column(row["cloud"], overflow="fold")
    for what in FACTS:
        shown.add_row(what, *(row.get(what, "-") for row in rows))
    return shown


def processes_left() -> list[str]:
    """Return the command lines of processes that still use the demo's state."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(STATE) in command:
            found.append(command[:100])
    return found


def problems(rows: list[dict[str, str]]) -> list[str]:
    """Return what is not as it should be, a line each."""
    wrong = [f"{row['cloud']}: {row['error']}" for row in rows if "error" in row]
    for row in rows:
        if "error" not in row and not row.get("page", "").startswith(PAGES[row["cloud"]]):
            wrong.append(f"{row['cloud']}: the page is {row.get('page')!r}")
        if row.get("left over") != "nothing":
            wrong.append(f"{row['cloud']}: {row.get('left over', 'something')} is left over")
    return wrong + [f"still running: {line}" for line in processes_left()]


def main() -> None:
    began = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with server() as entry_point, Progress(*columns, console=console) as progress:
        rows = [run(cloud, entry_point, progress) for cloud in LOGINS]
    console.print(table(rows))
    wrong = problems(rows)
    for line in wrong:
        console.print(f"[red]{line}[/red]")
    if wrong:
        raise SystemExit(1)
    console.print(
        "Both machines are gone, the server has ended, no process is left "
        f"({time.monotonic() - began:.0f} s)."
    )


if __name__ == "__main__":
    main()
