"""Things of another tenant, of every kind: not listed, not there, and not changed by anybody."""

from datetime import UTC, datetime

import httpx
import pytest
from tests.broker.rights.test_sight import HOOK, hold
from tests.broker.rights.towns import Town

from nimbi.frontends.native.app import NativeApp
from nimbi.frontends.native.routes import ROUTES
from nimbi.model.alerts import SourceKind
from nimbi.model.tokens import NewToken
from nimbi.store.alerts import AlertStore, Matter

# The tenant above, the one beside, and a stranger; each with an account of its own.
PLACES = {"acme": "of-acme", "acme/ops": "of-ops", "other/shop": "of-shop"}
ROLES = ("domain-admin", "auditor", "operator", "user")

LISTS = (
    *("/v1/accounts", "/v1/checks", "/v1/objectives", "/v1/alerts", "/v1/silences", "/v1/jobs"),
    *("/v1/schedules", "/v1/webhooks", "/v1/budgets", "/v1/holdings", "/v1/bills", "/v1/audit"),
    *("/v1/events?limit=1000", "/v1/orphans", "/v1/usage/intervals", "/v1/tokens", "/v1/users"),
    *("/v1/groups", "/v1/grants", "/v1/projects", "/v1/domains", "/v1/instances"),
)
# What is done to a thing, beside reading and removing it; the rest of its path.
DEEDS = {
    "checks": ("POST enable", "POST disable", "GET actions"),
    "jobs": ("POST cancel", "GET log"),
    "schedules": ("POST run", "GET times", "PATCH "),
    "webhooks": ("POST enable",),
    "budgets": ("PATCH ",),
}
REFUSED = (403, 404)


def made_by(account: str) -> dict[str, dict[str, object]]:
    """Return what somebody makes around an account: the list that takes it, and its body."""
    launch = {"account": account, "new": {"image_id": "img1"}}
    return {
        "checks": {
            "name": "web",
            "account": account,
            "instance_id": "inst0",
            "probe": {"kind": "http"},
        },
        "silences": {"ends_at": "2999-01-01T00:00:00Z", "account": account},
        "jobs": {"kind": "launch", "arguments": launch},
        "schedules": {"kind": "launch", "arguments": launch, "cron": "0 20 * * *"},
        "webhooks": {"url": HOOK, "accounts": [account]},
    }


class Desk:
    """A town's API, as different people ask it."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.app = NativeApp(town.whole.broker)

    async def client(self, role: str, place: str) -> httpx.AsyncClient:
        caller = await self.town.arrived(f"{role}-{place}".replace("/", "-"), role, place)
        made = await self.town.rights.people.create_token(caller, NewToken(name="test"))
        return self._holding(made.secret)

    def _holding(self, secret: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app)
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.AsyncClient(transport=transport, base_url="http://nimbi", headers=headers)

    async def furnish(self, place: str) -> dict[str, str]:
        """Make one thing of each kind of a place; return their ids."""
        tenant, account = self.town.ids[place], PLACES[place]
        ids = {}
        async with await self.client("domain-admin", place) as owner:
            for kind, body in made_by(account).items():
                answer = await owner.post(f"/v1/{kind}", json=body)
                assert answer.status_code == 201, answer.text
                told = answer.json()
                ids[kind] = told.get("webhook", told)["id"]
            objective = {"name": "shop", "checks": [ids["checks"]]}
            ids["objectives"] = (await owner.post("/v1/objectives", json=objective)).json()["id"]
            ids["alerts"] = await self._alert(tenant, account, ids["checks"])
            assert (await owner.get(f"/v1/alerts/{ids['alerts']}")).status_code == 200
        budget = {"tenant": tenant, "amount": "10.00", "currency": "EUR"}
        async with self._holding(await self.town.whole.token()) as operator:
            ids["budgets"] = (await operator.post("/v1/budgets", json=budget)).json()["id"]
        await hold(self.town, account, place, f"i-{tenant}")
        return ids

    async def _alert(self, tenant: str, account: str, source: str) -> str:
        matter = Matter(
            kind=SourceKind.CHECK,
            source=source,
            rule="failing",
            name="web",
            tenant=tenant,
            account=account,
        )
        database = self.town.whole.broker.database
        store = AlertStore(database)
        async with database.writing() as connection:
            await store.fire(connection, matter, datetime.now(UTC))
        (found,) = await store.list(states=(), source=source, tenants=None, limit=1)
        return found.id


@pytest.fixture
async def desk(town: Town) -> Desk:
    for account in ("of-root", "of-web", *PLACES.values()):
        await town.settle_account(account)
    return Desk(town)


async def test_things_of_others_are_not_listed_not_there_and_not_changed(desk: Desk) -> None:
    theirs = {place: await desk.furnish(place) for place in PLACES}
    clients = [await desk.client(role, "acme/web") for role in ROLES]
    # First all lists: the audit has what is refused below, with the ids that were told.
    for client in clients:
        for place, ids in theirs.items():
            await _nothing_is_listed(client, desk.town.ids[place], ids, place)
    for client in clients:
        for place, ids in theirs.items():
            for kind, id in ids.items():
                await _is_not_there(client, kind, id, place)
            await _its_account_takes_nothing(client, PLACES[place], desk.town.ids[place])


async def _nothing_is_listed(
    client: httpx.AsyncClient, tenant: str, ids: dict[str, str], place: str
) -> None:
    # What the domain above may spend concerns those below, who see it.
    hidden = {kind: id for kind, id in ids.items() if (kind, place) != ("budgets", "acme")}
    for path in LISTS:
        answer = await client.get(path)
        assert answer.status_code in (200, *REFUSED), (path, answer.text)
        told = [kind for kind, id in hidden.items() if id in answer.text]
        assert not told, (path, place, answer.text)
        assert f"i-{tenant}" not in answer.text, (path, place)


async def _is_not_there(client: httpx.AsyncClient, kind: str, id: str, place: str) -> None:
    for deed in ("GET", "DELETE", *DEEDS.get(kind, ())):
        if (deed, kind, place) == ("GET", "budgets", "acme"):
            continue
        method, _, rest = deed.partition(" ")
        path = f"/v1/{kind}/{id}" + (f"/{rest}" if rest else "")
        if not _takes(method, path):
            continue
        body = {"json": {}} if method == "PATCH" else {}
        answer = await client.request(method, path, **body)
        assert answer.status_code in REFUSED, (deed, kind, place, answer.text)


def _takes(method: str, path: str) -> bool:
    """Return whether there is such a route at all: some things have no removal."""
    parts = path.split("/")
    return any(
        route.method == method
        and len(route.template.split("/")) == len(parts)
        and all(
            told.startswith("{") or told == part
            for told, part in zip(route.template.split("/"), parts, strict=True)
        )
        for route in ROUTES
    )


async def _its_account_takes_nothing(client: httpx.AsyncClient, account: str, tenant: str) -> None:
    """Ask for changes in the name of another tenant, or in an account that is its alone."""
    if account != "of-acme":  # which those below may use
        for kind, body in made_by(account).items():
            answer = await client.post(f"/v1/{kind}", json=body)
            assert answer.status_code in REFUSED, (kind, account, answer.text)
    budget = {"tenant": tenant, "amount": "1.00", "currency": "EUR"}
    asked = (
        ("GET", f"/v1/tenant-quotas/{tenant}", None),
        ("PATCH", f"/v1/tenant-quotas/{tenant}", {"instances": 100}),
        ("PUT", f"/v1/tenants/{tenant}/limits/{account}", {"regions": ["us"]}),
        ("DELETE", f"/v1/tenants/{tenant}/limits/{account}", None),
        ("GET", f"/v1/holdings?tenant={tenant}", None),
        ("GET", f"/v1/usage?tenant={tenant}", None),
        ("GET", f"/v1/bills?tenant={tenant}", None),
        ("POST", "/v1/budgets", budget),
        ("PATCH", f"/v1/accounts/{account}/holdings/instances/i-{tenant}", {"tenant": "acme/web"}),
        ("POST", "/v1/holdings/recount", {"mend": True}),
        ("POST", "/v1/bills", {"month": "2020-01"}),
        ("POST", "/v1/audit/prune", {"before": "2020-01-01T00:00:00Z"}),
    )
    for method, path, body in asked:
        answer = await client.request(method, path, json=body)
        assert answer.status_code in REFUSED, (method, path, answer.text)


async def test_what_those_below_have_is_seen_and_changed_from_above(desk: Desk) -> None:
    # Else the test above would pass where nobody sees anything.
    ids = await desk.furnish("acme/ops")
    async with await desk.client("domain-admin", "acme") as above:
        for kind, id in ids.items():
            assert (await above.get(f"/v1/{kind}")).text.count(id), kind
            if _takes("GET", f"/v1/{kind}/{id}"):
                assert (await above.get(f"/v1/{kind}/{id}")).status_code == 200, kind
        for kind in ("objectives", "silences", "schedules", "webhooks", "checks"):
            gone = await above.delete(f"/v1/{kind}/{ids[kind]}")
            assert gone.status_code == 204, (kind, gone.text)
