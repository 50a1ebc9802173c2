"""What the server itself keeps: accounts, tokens, webhooks, orphans, and its drivers."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from nimbi.api.requests import segment as part
from nimbi.client.answers import Items, decoded
from nimbi.client.core import Blocking, Core, Looping, call
from nimbi.client.flow import Flow
from nimbi.client.requests import with_query
from nimbi.model.accounts import Account, AccountChange, NewAccount
from nimbi.model.errors import Conflict
from nimbi.model.inventory import Orphan
from nimbi.model.tokens import CreatedToken, NewToken, Token
from nimbi.model.webhooks import CreatedWebhook, NewWebhook, Webhook

T = TypeVar("T")

ACCOUNTS = "/v1/accounts"
TOKENS = "/v1/tokens"
WEBHOOKS = "/v1/webhooks"
ORPHANS = "/v1/orphans"
DRIVERS = "/v1/drivers"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an account's login can do: ids of operations, and features by collection."""

    operations: tuple[str, ...]
    features: Mapping[str, tuple[str, ...]]


class DriverFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of cloud: what it can do, and a JSON schema of a login's credentials.

    `problem` is why it cannot be used on this server; then all else is empty.
    """

    name: str
    title: str = ""
    operations: tuple[str, ...] = ()
    features: Mapping[str, tuple[str, ...]] = {}
    credentials: Mapping[str, Any] = {}
    providers: tuple[str, ...] = ()
    problem: str | None = None


class _Resource:
    core: Core

    def _get(self, target: str, kind: Any) -> Flow[Any]:
        return decoded((yield from self.core.exchange("GET", target)), kind)

    def _all(self, target: str, kind: Any) -> Flow[Any]:
        pairs: list[tuple[str, str]] = []
        found: list[Any] = []
        while True:
            page: Items[Any] = yield from self._get(with_query(target, pairs), Items[kind])
            found += page.items
            if page.next is None:
                return tuple(found)
            pairs = [("marker", page.next)]

    def _told(self, method: str, target: str, kind: Any, body: Any = msgspec.UNSET) -> Flow[Any]:
        return decoded((yield from self.core.exchange(method, target, body)), kind)

    def _removed(self, target: str) -> Flow[None]:
        yield from self.core.exchange("DELETE", target)


class _Accounts(_Resource):
    """Logins to clouds that the server remembers."""

    @call
    def all(self) -> Flow[tuple[Account, ...]]:
        """Return all accounts that the token may see."""
        return self._all(ACCOUNTS, Account)

    @call
    def get(self, id: str) -> Flow[Account]:
        """Return one account. Raises NotFound."""
        return self._get(_path(ACCOUNTS, id), Account)

    @call
    def create(self, new: NewAccount, *, test: bool = True) -> Flow[Account]:
        """Remember a login, after the cloud was asked with it unless told not to.

        Raises Conflict for a name in use, and what the cloud answers.
        """
        return self._told("POST", with_query(ACCOUNTS, _unless(test)), Account, _asked(new))

    @call
    def change(
        self,
        id: str,
        change: AccountChange,
        *,
        version: int | None = None,
        test: bool = True,
    ) -> Flow[Account]:
        """Change an account, after the cloud was asked with another login unless told not to.

        Only while it has this `version`, if one is told. Raises Conflict when it has another.
        """
        place, headers = _path(ACCOUNTS, id), {}
        if version is not None:
            known = yield from self.core.exchange("GET", place)
            if decoded(known, Account).version != version:
                raise Conflict(f"the account {id!r} was changed; read it again")
            headers = {"If-Match": known.headers["etag"]}
        target = with_query(place, _unless(test))
        received = yield from self.core.exchange("PATCH", target, change, headers)
        found: Account = decoded(received, Account)
        return found

    @call
    def enable(self, id: str) -> Flow[Account]:
        """Let the account be used again."""
        return self._told("POST", _path(ACCOUNTS, id, "enable"), Account)

    @call
    def disable(self, id: str) -> Flow[Account]:
        """Let nobody use the account, nor poll it."""
        return self._told("POST", _path(ACCOUNTS, id, "disable"), Account)

    @call
    def destroy(self, id: str, *, force: bool = False) -> Flow[None]:
        """Forget a login; the things in the cloud stay. Raises Conflict while things depend on it.

        With `force` they do not count.
        """
        pairs = [("force", "true")] if force else []
        return self._removed(with_query(_path(ACCOUNTS, id), pairs))

    @call
    def test(self, id: str) -> Flow[Account]:
        """Ask the cloud now; return the account with its health. Raises NotFound."""
        return self._told("POST", _path(ACCOUNTS, id, "test"), Account)

    @call
    def capabilities(self, id: str) -> Flow[Capabilities]:
        """Return what this login can do."""
        return self._get(_path(ACCOUNTS, id, "capabilities"), Capabilities)


class _Tokens(_Resource):
    """API tokens."""

    @call
    def all(self) -> Flow[tuple[Token, ...]]:
        """Return all tokens, without their secrets."""
        return self._all(TOKENS, Token)

    @call
    def create(self, new: NewToken) -> Flow[CreatedToken]:
        """Make a token; its secret is told this once. Raises Forbidden for too wide scopes."""
        return self._told("POST", TOKENS, CreatedToken, _asked(new))

    @call
    def get(self, id: str) -> Flow[Token]:
        """Return one token. Raises NotFound."""
        return self._get(_path(TOKENS, id), Token)

    @call
    def revoke(self, id: str) -> Flow[None]:
        """End a token. Raises NotFound."""
        return self._removed(_path(TOKENS, id))


class _Webhooks(_Resource):
    """URLs that are told of changes."""

    @call
    def all(self) -> Flow[tuple[Webhook, ...]]:
        """Return all webhooks, the oldest first."""
        return self._all(WEBHOOKS, Webhook)

    @call
    def get(self, id: str) -> Flow[Webhook]:
        """Return one webhook. Raises NotFound."""
        return self._get(_path(WEBHOOKS, id), Webhook)

    @call
    def create(self, new: NewWebhook) -> Flow[CreatedWebhook]:
        """Tell a URL of changes from now on; the secret that signs them is told this once."""
        return self._told("POST", WEBHOOKS, CreatedWebhook, _asked(new))

    @call
    def enable(self, id: str) -> Flow[Webhook]:
        """Deliver again, beginning with what was missed."""
        return self._told("POST", _path(WEBHOOKS, id, "enable"), Webhook)

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove a webhook. Raises NotFound."""
        return self._removed(_path(WEBHOOKS, id))


class _Orphans(_Resource):
    """What the server made, or may have made, and nobody owns."""

    @call
    def all(self, account: str | None = None) -> Flow[tuple[Orphan, ...]]:
        """Return the orphans of one account or all; asks no cloud."""
        pairs = [] if account is None else [("account", account)]
        return self._all(with_query(ORPHANS, pairs), Orphan)

    @call
    def destroy(self, orphan: Orphan) -> Flow[None]:
        """Destroy an orphan in its cloud."""
        return self._removed(_place(orphan))

    @call
    def adopt(self, orphan: Orphan) -> Flow[None]:
        """Keep it: it is no orphan any more."""
        yield from self.core.exchange("POST", _place(orphan) + "/adopt")


class _Drivers(_Resource):
    """The kinds of clouds that the server knows."""

    @call
    def all(self) -> Flow[tuple[DriverFacts, ...]]:
        """Return all drivers."""
        return self._all(DRIVERS, DriverFacts)

    @call
    def get(self, name: str) -> Flow[DriverFacts]:
        """Return one driver. Raises NotFound."""
        return self._get(_path(DRIVERS, name), DriverFacts)


class Accounts(_Accounts, Looping):
    """Logins to clouds that the server remembers; its methods are awaited."""


class SyncAccounts(_Accounts, Blocking):
    """Logins to clouds that the server remembers."""


class Tokens(_Tokens, Looping):
    """API tokens; its methods are awaited."""


class SyncTokens(_Tokens, Blocking):
    """API tokens."""


class Webhooks(_Webhooks, Looping):
    """URLs that are told of changes; its methods are awaited."""


class SyncWebhooks(_Webhooks, Blocking):
    """URLs that are told of changes."""


class Orphans(_Orphans, Looping):
    """What the server made and nobody owns; its methods are awaited."""


class SyncOrphans(_Orphans, Blocking):
    """What the server made and nobody owns."""


class Drivers(_Drivers, Looping):
    """The kinds of clouds that the server knows; its methods are awaited."""


class SyncDrivers(_Drivers, Blocking):
    """The kinds of clouds that the server knows."""


def _path(*parts: str) -> str:
    return "/".join([parts[0], *map(part, parts[1:])])


def _unless(test: bool) -> list[tuple[str, str]]:
    return [] if test else [("test", "false")]


def _place(orphan: Orphan) -> str:
    return _path(ACCOUNTS, orphan.account, "orphans", orphan.collection, orphan.id)


def _asked(new: Any) -> dict[str, Any]:
    """Return a wish as it is sent: its token is the Idempotency-Key."""
    told: dict[str, Any] = msgspec.to_builtins(new)
    told.pop("token", None)
    return told
