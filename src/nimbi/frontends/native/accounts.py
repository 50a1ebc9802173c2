"""Accounts: stored logins to clouds."""

from nimbi.broker.access import allows, check, may_see
from nimbi.broker.accounts import Capabilities
from nimbi.frontends.native.answer import Answer, Headers, encode, header, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import precondition_failed
from nimbi.frontends.native.route import Route
from nimbi.model.accounts import Account, AccountChange, NewAccount
from nimbi.model.errors import Forbidden, NotFound
from nimbi.wire.conditions import matches

PLACE = "/v1/accounts"
ONE = PLACE + "/{account}"


async def page(exchange: Exchange) -> Answer:
    """Answer with the accounts that the caller may see."""
    caller = exchange.caller
    if not allows(caller.rules, "accounts.page"):
        raise Forbidden(f"{caller.name} may not do accounts.page")
    seen = [a for a in await exchange.broker.accounts.all() if may_see(caller, a.id)]
    return json_answer({"items": seen})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewAccount)
    check(exchange.caller, "accounts.create", new.id)
    if new.own_login:
        # It lends out the server's own login.
        check(exchange.caller, "accounts.own_login", new.id)
    dry_run = exchange.flag("dry_run")
    tenant = await exchange.broker.rights.delegation.tenant(exchange.caller, new.tenant)
    account = await exchange.broker.accounts.create(
        new, test=_tests(exchange), dry_run=dry_run, tenant=tenant
    )
    if dry_run:
        return _shown(account, 200)
    # Whoever made it sees it at once.
    exchange.broker.people.forget()
    return _shown(account, 201, (header("location", f"{PLACE}/{account.id}"),))


async def show(exchange: Exchange) -> Answer:
    id = exchange.arguments["account"]
    caller = exchange.caller
    if not may_see(caller, id) or not allows(caller.rules, "accounts.get"):
        raise NotFound(f"there is no account {id!r}")
    return _shown(await exchange.broker.accounts.get(id))


async def change(exchange: Exchange) -> Answer:
    """Change what the body tells; with If-Match only the version that the client knows."""
    wish = await exchange.decoded(AccountChange)
    id = exchange.arguments["account"]
    account = await exchange.broker.accounts.change(
        id,
        wish,
        version=await _version(exchange, id),
        test=_tests(exchange),
        dry_run=exchange.flag("dry_run"),
    )
    return _shown(account)


async def destroy(exchange: Exchange) -> Answer:
    id, dry_run = exchange.arguments["account"], exchange.flag("dry_run")
    await exchange.broker.accounts.destroy(
        id,
        version=await _version(exchange, id),
        force=exchange.flag("force"),
        dry_run=dry_run,
    )
    if not dry_run:
        exchange.broker.inventory.forget(id)
    return nothing()


async def test(exchange: Exchange) -> Answer:
    return _shown(await exchange.broker.accounts.test(exchange.arguments["account"]))


async def enable(exchange: Exchange) -> Answer:
    return await _switched(exchange, is_enabled=True)


async def disable(exchange: Exchange) -> Answer:
    return await _switched(exchange, is_enabled=False)


async def capabilities(exchange: Exchange) -> Answer:
    return json_answer(await exchange.broker.accounts.capabilities(exchange.arguments["account"]))


async def _switched(exchange: Exchange, *, is_enabled: bool) -> Answer:
    id = exchange.arguments["account"]
    wish = AccountChange(is_enabled=is_enabled)
    return _shown(await exchange.broker.accounts.change(id, wish, test=False))


def _tests(exchange: Exchange) -> bool:
    return "test" not in exchange.query or exchange.flag("test")


def _shown(account: Account, status: int = 200, headers: Headers = ()) -> Answer:
    # Its health and version tell of each change.
    return Answer(status, encode(account), headers=headers, tag=_tag(account))


def _tag(account: Account) -> str:
    """Return the ETag, which changes when the owner changes something, not with its health."""
    return f'"{account.created_at.timestamp():.0f}.{account.version}"'


async def _version(exchange: Exchange, id: str) -> int | None:
    """Return the version that must be there still, None for any. Raises Problem for another."""
    told = exchange.headers.get(b"if-match")
    if told is None:
        return None
    account = await exchange.broker.accounts.get(id)
    if not matches(told, _tag(account)):
        raise precondition_failed("the account was changed; read it again")
    return account.version


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        None,
        text="Return all accounts, by name, with their health.",
        gives=tuple[Account, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        None,
        frozenset({"dry_run", "test"}),
        key="whole",
        text="Keep a login to a cloud, once the cloud has taken it.",
        takes=NewAccount,
        gives=Account,
        status=201,
    ),
    Route(
        "GET",
        ONE,
        show,
        None,
        text="Return one account.",
        gives=Account,
        headers=("If-None-Match",),
    ),
    Route(
        "PATCH",
        ONE,
        change,
        "accounts.change",
        frozenset({"dry_run", "test"}),
        text="Change what is told; another login is tried first.",
        takes=AccountChange,
        gives=Account,
        headers=("If-Match",),
    ),
    Route(
        "DELETE",
        ONE,
        destroy,
        "accounts.destroy",
        frozenset({"dry_run", "force"}),
        text="Forget a login. Refused while things depend on it, unless by `force`.",
        status=204,
        headers=("If-Match",),
    ),
    Route(
        "POST",
        ONE + "/test",
        test,
        "accounts.test",
        key="whole",
        text="Ask the cloud whether the login is right; `health` tells what it said.",
        gives=Account,
    ),
    Route(
        "POST",
        ONE + "/enable",
        enable,
        "accounts.change",
        key="whole",
        text="Let the account be used again.",
        gives=Account,
    ),
    Route(
        "POST",
        ONE + "/disable",
        disable,
        "accounts.change",
        key="whole",
        text="Let nobody use the account, nor poll it.",
        gives=Account,
    ),
    Route(
        "GET",
        ONE + "/capabilities",
        capabilities,
        "accounts.capabilities",
        text="Return what the account's login can do: operations, and features by collection.",
        gives=Capabilities,
    ),
)
