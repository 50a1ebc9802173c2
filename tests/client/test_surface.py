"""The client offers all that the interfaces and the API have, and nothing beside."""

import ast
import inspect
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.client.desk import Desk, Reply

import nimbi.client
from nimbi.api.routes import LISTS, ROUTES
from nimbi.client import Client, SyncClient, SyncInProcess
from nimbi.client.account import AccountClient, Bound, SyncAccountClient
from nimbi.driver.capabilities import INTERFACES
from nimbi.driver.compute import Instances

ROOT = Path(__file__).parents[2]
EVERY = {interface.name for interface in INTERFACES}


@pytest.mark.parametrize("kind", [AccountClient, SyncAccountClient])
def test_an_account_has_every_collection(kind: type[Any]) -> None:
    assert {name for name, found in vars(kind).items() if isinstance(found, Bound)} == EVERY


@pytest.mark.parametrize("kind", [Client, SyncClient])
def test_every_collection_that_can_be_listed_over_all_accounts_is_there(kind: type[Any]) -> None:
    lists = {n for n, found in vars(kind).items() if type(found).__name__.endswith("Everywhere")}
    assert lists == set(LISTS)


def test_the_types_of_the_blocking_client_are_those_of_the_interfaces() -> None:
    made = runpy.run_path(str(ROOT / "docs/generate_client.py"))["source"]()
    kept = (ROOT / "src/nimbi/client/blocking.py").read_text()
    assert outline(made) == outline(kept), "run python docs/generate_client.py"


def outline(source: str) -> list[str]:
    """Return a module's classes, without its layout."""
    return [ast.dump(node) for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]


def test_both_ways_of_calling_have_the_same_methods_with_the_same_arguments() -> None:
    transport = SyncInProcess(Desk(Reply()))
    blocking = SyncClient(transport=transport)
    looping = Client(transport=transport._inner)
    people = ("users", "groups", "domains", "projects", "roles", "grants", "lends")
    kept = ("accounts", "tokens", "webhooks", "orphans", "drivers", "events", "instances")
    money = ("usage", "prices", "bills", "budgets")
    health = ("checks", "objectives", "alerts", "silences")
    for part in (*kept, *people, *money, *health):
        mine, other = getattr(looping, part), getattr(blocking, part)
        names = {name for name in dir(mine) if not name.startswith("_")}
        assert names == {name for name in dir(other) if not name.startswith("_")}
        for name in names - {"core", "transport", "collection"}:
            one, two = getattr(mine, name), getattr(other, name)
            assert list(inspect.signature(one).parameters) == list(
                inspect.signature(two).parameters
            )
            assert inspect.getdoc(one)
    blocking.close()


def test_what_is_no_operation_is_told_at_once() -> None:
    account = SyncClient("http://127.0.0.1:1").account("aws")
    with pytest.raises(AttributeError, match="instances has no operation 'explode'"):
        account.instances.explode()  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="no operation"):
        account.call(print)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"instances\.get"):
        account.call(Instances.get)  # type: ignore[call-arg]


def test_every_name_of_the_package_is_there() -> None:
    assert all(getattr(nimbi.client, name) for name in nimbi.client.__all__)
    with pytest.raises(AttributeError):
        _ = nimbi.client.Nothing  # type: ignore[attr-defined]


def test_the_command_line_loads_little_to_send_a_request() -> None:
    """Each of these costs as much as the interpreter itself, or several times that."""
    heavy = ("msgspec", "asyncio", "aiohttp", "urllib3", "nimbi.driver", "nimbi.api")
    code = (
        "import sys, nimbi.client.http, nimbi.client.flow, nimbi.client.running\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_operation_has_one_route() -> None:
    assert len({(route.method, route.template) for route in ROUTES.values()}) == len(ROUTES)
