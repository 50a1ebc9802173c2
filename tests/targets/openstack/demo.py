"""What `make demo-openstack` runs: one_code_two_clouds.py, unchanged, on a real OpenStack.

Its machine is a real one, and so is the page that it serves.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.targets.openstack.projects import Project, new_project, quiet
from tests.targets.openstack.settings import ROOT

CLIENT = ROOT / "docs" / "examples" / "one_code_two_clouds.py"
NIMBI = Path(sys.executable).with_name("nimbi")
EXPECTED = ("page: two-clouds", "left over: nothing")


@contextmanager
def server(auth_url: str) -> Iterator[str]:
    """Run `nimbi serve` and give its URL."""
    with tempfile.TemporaryDirectory() as place:
        command = [NIMBI, "serve", "--driver", "openstack", "--provider", auth_url]
        command += ["--host", "127.0.0.1", "--port", "0", "--log", f"{place}/log"]
        process = subprocess.Popen(
            command,
            env=os.environ | {"NIMBI_STATE_DIR": place, "OS_AUTH_URL": auth_url},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                raise SystemExit(f"the server did not start: {Path(place, 'log').read_text()}")
            yield line.rpartition(" ")[2]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=40)


def open_the_web(project: Project) -> None:
    """Let requests for web pages through to the project's instances."""
    with quiet(), project.connected() as member:
        group = member.network.find_security_group("default", ignore_missing=False)
        member.network.create_security_group_rule(
            security_group_id=group.id,
            direction="ingress",
            ether_type="IPv4",
            protocol="tcp",
            port_range_min=80,
            port_range_max=80,
        )


def run(project: Project) -> str:
    """Run the program against a server of its own; return what it told."""
    open_the_web(project)
    with server(project.auth_url) as entry_point:
        login = [f"{project.user}+{project.name}", project.password]
        done = subprocess.run(
            [sys.executable, CLIENT, entry_point, "openstack", *login],
            stdout=subprocess.PIPE,
            text=True,
        )
    if done.returncode:
        raise SystemExit(done.stdout)
    return done.stdout


def main() -> None:
    with new_project("demo", outside=True) as project:
        told = run(project)
    print(told)  # noqa: T201
    if missing := [line for line in EXPECTED if line not in told]:
        raise SystemExit(f"the program did not tell: {', '.join(missing)}")


if __name__ == "__main__":
    main()
