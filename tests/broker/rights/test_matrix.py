"""Every operation there is, by every role, for one's own tenant, those around it and others."""

import inspect
from collections import Counter

import pytest
from sqlalchemy import insert
from tests.broker.rights.expected import ACTING, BUILT_IN, KEEPER, LIES, ROLES, expected
from tests.broker.rights.towns import ACCOUNTS, Town

from nimbi.broker.access import ADMIN, CATALOG, Caller, may
from nimbi.broker.rights.builtin_roles import BUILT_IN as BUILT_IN_ROLES
from nimbi.broker.tenancy import COMMON, OF_CLOUD, OF_OTHERS, Tenancy
from nimbi.driver.capabilities import BY_ID
from nimbi.frontends.native.routes import ROUTES
from nimbi.gateway.shape import shape_of
from nimbi.model.errors import CloudError, Forbidden, NotFound
from nimbi.store.holdings import HoldingStore
from nimbi.store.schema import holdings


@pytest.fixture
async def callers(town: Town) -> dict[tuple[str, str], Caller]:
    """Give somebody of each role at each place, with an account at each place."""
    for account in ACCOUNTS:
        await town.settle_account(account)
    await town.rights.lends.lend(ADMIN, "of-shop", "acme/web")
    await town.role("keeper", *KEEPER)
    found = {}
    for role in ROLES:
        for place in ACTING:
            name = f"{role}-at-{place.replace('/', '-')}"
            found[role, place] = await town.arrived(name, role, place)
    return found


def test_the_table_has_all_roles_and_accounts() -> None:
    assert set(BUILT_IN) == set(BUILT_IN_ROLES)
    assert set(LIES) == set(ACCOUNTS)


def test_a_role_can_name_every_operation_that_a_route_asks_for() -> None:
    asked = {route.operation for route in ROUTES if route.operation is not None}
    assert asked <= CATALOG
    assert {route.api.id for route in ROUTES if route.api is not None} <= CATALOG


async def test_each_role_may_do_what_the_table_says_on_each_account(
    callers: dict[tuple[str, str], Caller], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, count = [], Counter[bool]()
    for (role, place), caller in callers.items():
        for operation in sorted(CATALOG):
            for account in (None, *LIES):
                wanted = expected(role, operation, place, account)
                count[wanted] += 1
                if may(caller, operation, account) is not wanted:
                    wrong.append((role, place, operation, account, not wanted))
    with capsys.disabled():
        print(  # noqa: T201  the size of the matrix is a result
            f"\nmatrix: {len(ROLES)} roles x {len(CATALOG)} operations x {len(ACTING)} places x"
            f" {len(LIES) + 1} accounts = {count.total()} cells, {count[True]} allowed"
        )
    assert not wrong


async def test_others_and_the_owners_things_in_a_shared_account_are_not_there(
    town: Town, callers: dict[tuple[str, str], Caller]
) -> None:
    """Every operation that names a thing, on things of one's own, of others, of the account's."""
    held = {"own": "root/acme/web", "other": "root/acme/ops", "stranger": "root/other/shop"}
    await _hold(town, held)
    store = HoldingStore(town.whole.broker.database)
    tenancy = Tenancy(store, callers["user", "acme/web"], "of-acme")
    above = Tenancy(store, callers["user", "acme"], "of-acme")
    count = Counter[str]()
    for id, operation in BY_ID.items():
        names = list(inspect.signature(operation.function).parameters)[1:]
        # Whose a blob is tells its bucket.
        varied = "bucket_id" if id.startswith("blobs.") else "id"
        if varied not in names:
            count["without"] += 1
            continue
        for thing in (*held, "nobody's"):
            count["cells"] += 2
            given = {name: thing if name == varied else "own" for name in names}
            found = await _told(tenancy, id, given)
            assert found == _wanted(id, thing, at="web"), (id, thing)
            assert await _told(above, id, given) == _wanted(id, thing, at="acme"), (id, thing)
    assert count["cells"] > 400
    assert count["without"] < len(BY_ID) / 2


async def _told(tenancy: Tenancy, id: str, given: dict[str, str]) -> str:
    """Return what a check of an operation ends with."""
    function = BY_ID[id].function
    try:
        await tenancy.check(function, shape_of(function), (), given)
    except CloudError as error:
        return error.code
    return "ok"


def _wanted(id: str, thing: str, *, at: str) -> str:
    collection = OF_OTHERS.get(id.partition(".")[0], id.partition(".")[0])
    if collection in OF_CLOUD:
        return "ok"
    if thing == "stranger":
        return NotFound.code
    if at == "acme" or thing == "own":
        return "ok"
    if thing == "nobody's" and collection in COMMON:
        return "ok" if BY_ID[id].is_safe else Forbidden.code
    return NotFound.code


async def _hold(town: Town, held: dict[str, str]) -> None:
    rows = [
        {
            "account": "of-acme",
            "token": f"{collection}-{thing}",
            "number": 0,
            "tenant": town.ids[place.removeprefix("root/")],
            "path": "".join(f"{id}/" for id in _path(town, place)),
            "user": "admin",
            "collection": collection,
            "thing_id": thing,
            "state": "held",
            "created_us": 1,
        }
        for thing, place in held.items()
        for collection in {id.partition(".")[0] for id in BY_ID}
    ]
    async with town.whole.broker.database.writing() as connection:
        await connection.execute(insert(holdings), rows)


def _path(town: Town, place: str) -> list[str]:
    names = place.split("/")[1:]
    return ["root", *(town.ids["/".join(names[: n + 1])] for n in range(len(names)))]
