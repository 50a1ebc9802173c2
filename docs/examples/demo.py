"""What `make demo` runs: one_code_two_clouds.py, unchanged, on three clouds.

A real one on this machine, a mock, and AWS's EC2 as moto stands in for it. Nothing leaves this
machine.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

HERE = Path(__file__).parent
CLIENT = HERE / "one_code_two_clouds.py"
STATE = Path(os.environ.get("NIMBI_STATE_DIR") or HERE.parents[1] / ".demo").absolute()
FACTS = ("image", "profile", "instance", "running after", "address", "page", "left over")

# The mock's login is fixed, moto takes any; that of the local cloud is made up for this run.
LOGINS = {"local": ("demo", secrets.token_urlsafe(12)), "mock": ("mockuser", "mockpassword")}
if find_spec("moto"):
    LOGINS["ec2"] = ("AKIAIOSFODNN7EXAMPLE", secrets.token_urlsafe(30))

# The page of a real machine is titled with the name that the program gave it; a made-up machine has
# an address that leads nowhere.
PAGES = {"local": "two-clouds", "mock": "none: ", "ec2": "none: "}

# What the program does after it told this.
STEPS = {
    "": "looking at the cloud, which may build its image first",
    "profile": "starting a machine",
    "instance": "waiting for the machine to run",
    "running after": "fetching its page",
    "page": "removing it again",
}

COUNTS = {2: "two", 3: "three"}

console = Console()


@contextmanager
def moto() -> Iterator[dict[str, str]]:
    """Run moto; give the variables that make whoever has them call it instead of AWS."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=without_aws())
    try:
        until = time.monotonic() + 60
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("moto did not start")
            time.sleep(0.1)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == 0


def without_aws() -> dict[str, str]:
    """Return this process's environment without a login or an endpoint of AWS."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@contextmanager
def nowhere() -> Iterator[dict[str, str]]:
    """Give variables with which a program reaches this machine alone.

    moto makes addresses up, which belong to somebody.
    """
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # it is not listened to, and nobody else can take it
        refusing = f"http://127.0.0.1:{closed.getsockname()[1]}"
        yield {"http_proxy": refusing, "https_proxy": refusing, "no_proxy": "127.0.0.1"}


@contextmanager
def server(stand_in: Mapping[str, str]) -> Iterator[str]:
    """Run `nimbi serve` and give its URL; afterwards it has ended, with status 0."""
    user, password = LOGINS["local"]
    logins = {"NIMBI_LOCAL_USER": user, "NIMBI_LOCAL_PASSWORD": password}
    command = [Path(sys.executable).with_name("nimbi"), "serve", "--driver", "mock", "--port", "0"]
    flags = ["--host", "127.0.0.1", "--log", STATE / "log"]
    STATE.mkdir(mode=0o700, exist_ok=True)
    process = subprocess.Popen(
        [*command, *flags],
        env=without_aws() | logins | {"NIMBI_STATE_DIR": str(STATE)} | stand_in,
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


def run(
    cloud: str, entry_point: str, network: Mapping[str, str], progress: Progress
) -> dict[str, str]:
    """Run the program on one cloud; return what it told, by name."""
    task = progress.add_task(f"{cloud}: {STEPS['']}", total=None)
    command = [sys.executable, CLIENT, entry_point, cloud, *LOGINS[cloud]]
    told = {"cloud": cloud}
    pipe = subprocess.PIPE
    env = os.environ | network
    with subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True) as process:
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
    shown = Table(title=f"One program, {COUNTS[len(rows)]} clouds", title_justify="left")
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
    with ExitStack() as stack:
        stand_in = stack.enter_context(moto()) if "ec2" in LOGINS else {}
        networks = {"ec2": stack.enter_context(nowhere())}
        entry_point = stack.enter_context(server(stand_in))
        progress = stack.enter_context(Progress(*columns, console=console))
        rows = [run(cloud, entry_point, networks.get(cloud, {}), progress) for cloud in LOGINS]
    console.print(table(rows))
    wrong = problems(rows)
    for line in wrong:
        console.print(f"[red]{line}[/red]")
    if wrong:
        raise SystemExit(1)
    console.print(
        "All machines are gone, the servers have ended, no process is left "
        f"({time.monotonic() - began:.0f} s)."
    )


if __name__ == "__main__":
    main()
