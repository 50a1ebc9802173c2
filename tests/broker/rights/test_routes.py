"""Every route of the native API, asked by every role: refused or not as the table says."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from tests.broker.rights.expected import KEEPER, ROLES, expected
from tests.broker.rights.towns import ACCOUNTS, Town

from nimbi.broker.access import ADMIN
from nimbi.frontends.native.app import NativeApp
from nimbi.frontends.native.route import Route
from nimbi.frontends.native.routes import ROUTES
from nimbi.model.people import NewGrant, NewGroup
from nimbi.model.tokens import NewToken

# Ends the very token that asks, which everybody may.
LEAVING = ("DELETE", "/v1/login")
# An account of one's own, of the domain above, a lent one, and one of others.
AROUND = ("of-web", "of-acme", "of-shop", "of-ops")
# Who asks for all of these; the others ask for their own. `test_matrix.py` has all of them.
THOROUGH = frozenset({"auditor", "user"})

ACCOUNT = "{account}"


@dataclass(frozen=True)
class Asked:
    """One request: its route, and the account that it names."""

    route: Route
    account: str | None

    @property
    def path(self) -> str:
        place = self.route.template.replace(ACCOUNT, self.account or "")
        while "{" in place:
            head, _, tail = place.partition("{")
            place = head + "none" + tail.partition("}")[2]
        return place


def requests(role: str) -> Iterator[Asked]:
    """Yield each route, once for each account where it names one."""
    accounts = AROUND if role in THOROUGH else AROUND[:1]
    for route in ROUTES:
        if route.is_open or (route.method, route.template) == LEAVING:
            continue
        if ACCOUNT in route.template:
            yield from (Asked(route, account) for account in accounts)
        else:
            yield Asked(route, None)


def operation_of(route: Route) -> str | None:
    """Return the operation that decides, None where the handler looks at more than one."""
    if route.operation is not None:
        return route.operation
    if route.api is not None:
        return route.api.id
    return HANDLED.get((route.method, route.template))


# What handlers ask themselves.
HANDLED = {
    ("GET", "/v1/accounts"): "accounts.page",
    ("GET", "/v1/accounts/{account}"): "accounts.get",
}


@pytest.fixture
async def tokens(town: Town) -> dict[str, str]:
    """Give the secret of a token of each role, which acts in acme/web."""
    for account in ACCOUNTS:
        await town.settle_account(account)
    await town.rights.lends.lend(ADMIN, "of-shop", "acme/web")
    await town.role("keeper", *KEEPER)
    found = {}
    for role in ROLES:
        caller = await town.arrived(f"a-{role}", role, "acme/web")
        made = await town.rights.people.create_token(caller, NewToken(name=role))
        found[role] = made.secret
    return found


async def test_every_route_refuses_whom_the_table_refuses(
    town: Town, tokens: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    app = NativeApp(town.whole.broker)
    wrong, count, left = [], 0, set()
    for role, secret in tokens.items():
        async with _client(app, secret) as client:
            for asked in requests(role):
                operation = operation_of(asked.route)
                if operation is None:
                    left.add(asked.path)
                    continue
                count += 1
                status = await _status(client, asked)
                if status >= 500 and status not in (501, 502, 503, 504):
                    wrong.append((role, asked.route.method, asked.path, "broke", status))
                wanted = expected(role, operation, "acme/web", asked.account)
                is_hidden = operation == "accounts.get" and status == 404
                if (status != 403 and not is_hidden) is not wanted:
                    wrong.append((role, asked.route.method, asked.path, operation, status))
    with capsys.disabled():
        print(  # noqa: T201  a result
            f"\nroutes: {len(ROUTES)} routes, {count} requests; {len(left)} look at more than one"
            " operation and are tested where they are"
        )
    assert not wrong


async def _status(client: httpx.AsyncClient, asked: Asked) -> int:
    """Return how a request that can do nothing ends: its things are not there, its body is bad."""
    method = asked.route.method
    body = b"{" if method in {"POST", "PUT", "PATCH"} else None
    # What would do something without a body does not, of an account that was changed meanwhile.
    headers = {"if-match": '"none"', "content-type": "application/json"}
    answer = await client.request(method, asked.path, content=body, headers=headers)
    return answer.status_code


async def test_people_and_tenants_of_others_are_not_there(
    town: Town, tokens: dict[str, str]
) -> None:
    """Each thing of the tenant above, beside, and of a stranger, by each role, read and changed."""
    app = NativeApp(town.whole.broker)
    for place in ("acme", "acme/ops", "other/shop"):
        for path in await _things(town, place):
            for role, secret in tokens.items():
                async with _client(app, secret) as client:
                    for method in ("GET", "PATCH", "DELETE"):
                        body = b"{}" if method == "PATCH" else None
                        answer = await client.request(method, path, content=body)
                        assert answer.status_code in (403, 404, 405), (role, method, path)


async def _things(town: Town, place: str) -> list[str]:
    """Return the paths of one thing of each kind that belongs to a place."""
    rights, name = town.rights, place.replace("/", "-")
    user = await town.user(f"user-{name}", "user", place)
    group = await rights.groups.create(ADMIN, NewGroup(name="crew", tenant=place))
    new = NewGrant(role="user", tenant=place, group=group.id)
    grant = await rights.grants.create(ADMIN, new)
    token = await rights.people.create_token(
        await town.caller(user, place), NewToken(name="theirs")
    )
    kind = "projects" if "/" in place else "domains"
    return [
        f"/v1/users/{user}",
        f"/v1/groups/{group.id}",
        f"/v1/grants/{grant.id}",
        f"/v1/tokens/{token.token.id}",
        f"/v1/{kind}/{town.ids[place]}",
    ]


def _client(app: NativeApp, secret: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.AsyncClient(transport=transport, base_url="http://nimbi", headers=headers)
