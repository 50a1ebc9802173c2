"""`nimbi login --sso`: a real provider, a real server, and a browser that agrees to everything."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.cli.conftest import own_environment
from tests.targets import oidc
from tests.targets.stores import free_port

from nimbi.broker.access import ADMIN
from nimbi.broker.site import Options, open_broker
from nimbi.cli.errors import STATUSES
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.people import NewGrant, NewGroup

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from nimbi.cli.entry import run; sys.argv[0] = 'nimbi'; run()"
PEOPLE = {
    "ann": {"preferred_username": "ann", "groups": ["devs"]},
    "bob": {"preferred_username": "bob", "groups": []},
}
START_S = 60


@dataclass(frozen=True)
class Server:
    """A server that lets people of the provider in."""

    url: str
    home: Path

    def login(self, user: str, *flags: str) -> "subprocess.CompletedProcess[str]":
        """Run `nimbi login` where this user has a browser."""
        browser = f"{sys.executable} -m tests.targets.oidc {user} %s"
        environment = own_environment(self.home) | {"BROWSER": browser, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM, "login", self.url, *flags]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=90, cwd=ROOT
        )

    def whoami(self) -> httpx.Response:
        token = (self.home / "config" / "nimbi" / "token").read_text().strip()
        login = {"authorization": f"Bearer {token}"}
        return httpx.get(f"{self.url}/v1/login", headers=login, timeout=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, home = free_port(), tmp_path_factory.mktemp("sso")
    url = f"http://127.0.0.1:{port}"
    place = oidc.installed(tmp_path_factory.mktemp("oidc"))
    provider = oidc.Provider(place, [f"{url}/v1/openid/callback"], PEOPLE)
    state = home / "state" / "nimbi"
    asyncio.run(_prepared(state))
    environment = own_environment(home) | {
        "NIMBI_OPENID_ISSUER": provider.issuer,
        "NIMBI_OPENID_CLIENT_ID": oidc.CLIENT,
        "NIMBI_OPENID_CLIENT_SECRET": oidc.SECRET,
        "NIMBI_OPENID_CREATES": "true",
        "NIMBI_OPENID_GROUPS_CLAIM": "groups",
    }
    command = [sys.executable, "-c", PROGRAM, "serve", "-i", "mock", "-f", "native"]
    with provider.running(oidc.new_key("k")), (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-p", str(port), "-r", "127.0.0.1"], env=environment, stdout=log, stderr=log
        )
        try:
            _await(process, url, home / "log")
            yield Server(url, home)
        finally:
            process.terminate()
            process.wait(timeout=60)


async def _prepared(state: Path) -> None:
    """Make a group whose members may do something."""
    clouds = Clouds(Registry({}), {}, state)
    options = Options(
        database=f"sqlite:///{state}/nimbi.db",
        key_file=state / "nimbi.key",
        environment={},
        polls=False,
    )
    async with open_broker(options, clouds, Registry({})) as broker:
        devs = await broker.rights.groups.create(ADMIN, NewGroup(name="devs"))
        await broker.rights.grants.create(
            ADMIN, NewGrant(role="user", tenant="root", group=devs.id)
        )
    await clouds.aclose()


def _await(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def test_somebody_signs_in_in_a_browser(server: Server) -> None:
    done = server.login("ann", "--sso")
    assert done.returncode == 0, done.stderr
    me = server.whoami()
    assert me.status_code == 200
    token = server.home / "config" / "nimbi" / "token"
    assert oct(token.stat().st_mode & 0o777) == "0o600"
    assert token.read_text().strip() not in done.stdout + done.stderr


def test_who_has_no_role_gets_no_token(server: Server) -> None:
    done = server.login("bob", "--sso")
    assert done.returncode == STATUSES["forbidden"], done.stderr
    assert "no role" in done.stderr


def test_a_project_that_is_none_is_refused(server: Server) -> None:
    done = server.login("ann", "--sso", "--project", "acme/none")
    assert done.returncode == STATUSES["forbidden"], done.stderr


def test_a_project_goes_with_a_sign_in_only(server: Server) -> None:
    assert server.login("ann", "--project", "acme").returncode == 2


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    gone = Server(f"http://127.0.0.1:{free_port()}", tmp_path)
    assert gone.login("ann", "--sso").returncode == STATUSES["cloud_unavailable"]
