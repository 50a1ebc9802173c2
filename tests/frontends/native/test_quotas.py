"""Quotas, limits and holdings over HTTP, by the client."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.frontends.native.conftest import Api

from nimbi.broker.access import ADMIN
from nimbi.client import Client
from nimbi.client.in_process import InProcess
from nimbi.client.listings import Listed
from nimbi.driver.compute import Instances
from nimbi.model.errors import Forbidden, Invalid, NotFound, QuotaExceeded
from nimbi.model.holdings import Limit
from nimbi.model.instances import NewInstance
from nimbi.model.people import NewTenant
from nimbi.model.tokens import NewToken

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL = NewInstance(image_id="img1", hardware_profile_id="m1-small", realm_id="us")


async def client(api: Api, tenant: str | None = None) -> Client:
    """Return a client that acts in a tenant, and may do there what the operator may."""
    new = NewToken(name="test", tenant=tenant)
    secret = (await api.broker.people.create_token(ADMIN, new)).secret

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await api.app(scope, receive, send)
            return
        for what in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{what}.complete"})

    return Client(token=secret, transport=InProcess(app))


async def listed(client: Client) -> list[str]:
    """Return the ids of all instances that a client sees."""
    return [row.thing.id async for row in client.instances.stream() if isinstance(row, Listed)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(api: Api) -> Client:
    found = await client(api)
    await found.domains.create(NewTenant(name="acme"))
    await found.projects.create(NewTenant(name="web", parent="acme"))
    await found.projects.create(NewTenant(name="shop", parent="acme"))
    return found


@pytest_asyncio.fixture(loop_scope="module")
async def clean(admin: Client) -> AsyncIterator[Client]:
    yield admin
    assert await admin.tenant_quotas.recount() == ()


async def test_a_quota_is_told_and_set_by_those_above(api: Api, clean: Client) -> None:
    admin = clean
    await admin.tenant_quotas.set("acme/web", {"instances": 1, "vcpus": None})
    told = {quota.resource: quota for quota in await admin.tenant_quotas.all("acme/web")}
    assert (told["instances"].limit, told["vcpus"].limit, told["vcpus"].used) == (1, None, 0)
    web = await client(api, "acme/web")
    assert (await web.tenant_quotas.all("acme/web"))[0].limit == 1
    with pytest.raises(Forbidden):
        await web.tenant_quotas.set("acme/web", {"instances": 5})
    with pytest.raises(NotFound):
        await web.tenant_quotas.all("acme/shop")
    with pytest.raises(Invalid, match="bananas"):
        await admin.tenant_quotas.set("acme/web", {"bananas": 5})
    with pytest.raises(Invalid):
        await admin.tenant_quotas.set("acme/web", {"instances": -1})
    await admin.tenant_quotas.set("acme/web", {"instances": None})


async def test_what_is_beyond_a_quota_is_refused_with_the_reason(api: Api, clean: Client) -> None:
    await clean.tenant_quotas.set("acme", {"instances": 1})
    web, shop = await client(api, "acme/web"), await client(api, "acme/shop")
    made = await web.account("mock").instances.create(SMALL)
    with pytest.raises(QuotaExceeded) as caught:
        await shop.account("mock").instances.create(SMALL)
    with pytest.raises(QuotaExceeded, match="the quota of acme is 1 instances: 1 taken"):
        await shop.account("mock").rehearse(Instances.create, SMALL)
    acme = await clean.domains.get("acme")
    error = caught.value
    assert (error.tenant, error.resource) == (acme.id, "instances")
    assert (error.limit, error.used, error.wanted) == (1, 1, 1)
    with pytest.raises(NotFound):
        await shop.account("mock").instances.get(made.id)
    assert await listed(web) == [made.id]
    assert await listed(shop) == []
    (held,) = await web.holdings.all()
    assert (held.thing_id, held.amounts.vcpus) == (made.id, 1)
    await clean.holdings.give("mock", "instances", made.id, "acme/shop")
    assert await web.holdings.all() == ()
    assert len(await clean.holdings.all("acme/shop", "mock", "instances")) == 1
    await clean.tenant_quotas.set("acme", {"instances": None})


async def test_holdings_are_paged(api: Api, clean: Client) -> None:
    web = await client(api, "acme/shop")
    for _ in range(3):
        await web.account("mock").instances.create(SMALL)
    first = (await api.ask("GET", "/v1/holdings?tenant=acme&limit=2")).json()
    rest = await api.client.get(
        "/v1/holdings", params={"tenant": "acme", "limit": "2", "marker": first["next"]}
    )
    tokens = [item["token"] for item in (*first["items"], *rest.json()["items"])]
    assert len(tokens) == len(set(tokens)) == 4
    wrong = await api.ask("GET", "/v1/holdings?marker=nonsense")
    assert wrong.status_code == 400


async def test_a_limit_is_set_told_and_removed(api: Api, clean: Client) -> None:
    limit = await clean.limits.set(Limit(tenant="acme/web", account="mock", sizes=("m1-large",)))
    assert limit.sizes == ("m1-large",)
    web = await client(api, "acme/web")
    assert [one.sizes for one in await web.limits.all("acme/web")] == [("m1-large",)]
    with pytest.raises(Forbidden, match="acme/web may use the sizes m1-large only"):
        await web.account("mock").instances.create(SMALL)
    for change in (web.limits.destroy("acme/web", "mock"), web.limits.set(limit)):
        with pytest.raises(Forbidden):
            await change
    with pytest.raises(NotFound, match="moc"):
        await clean.limits.set(Limit(tenant="acme/web", account="moc"))
    await clean.limits.destroy("acme/web", "mock")
    with pytest.raises(NotFound):
        await clean.limits.destroy("acme/web", "mock")
