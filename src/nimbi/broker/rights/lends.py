"""Whose accounts are, and to whom they are lent."""

from collections.abc import Callable

from nimbi.broker.access import Caller, check, is_below
from nimbi.broker.rights.delegation import Delegation
from nimbi.model.accounts import Account
from nimbi.model.people import Lend
from nimbi.store.accounts import AccountStore
from nimbi.store.lends import LendStore


class Lends:
    """Accounts and tenants: an account may be used where it belongs, below, and where it's lent.

    Each raises Forbidden unless the account belongs to the caller's tenant or to one below.
    """

    def __init__(
        self,
        store: LendStore,
        accounts: AccountStore,
        delegation: Delegation,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._delegation = delegation
        self._changed = changed

    async def page(self, caller: Caller, account: str) -> tuple[Lend, ...]:
        """Return to whom an account is lent, as far as the caller sees them."""
        check(caller, "accounts.lends", account)
        await self._accounts.get(account)
        found = await self._store.page(account)
        return tuple(lend for lend in found if is_below(caller, lend.tenant))

    async def lend(self, caller: Caller, account: str, tenant: str) -> None:
        """Let a tenant, and all below it, use an account. Raises NotFound."""
        check(caller, "accounts.lend", account)
        await self._accounts.get(account)
        await self._store.add(account, await self._delegation.tenant(caller, tenant))
        self._changed()

    async def unlend(self, caller: Caller, account: str, tenant: str) -> None:
        """Let them use it no longer; what they have there stays. Raises NotFound."""
        check(caller, "accounts.unlend", account)
        await self._store.remove(account, await self._delegation.tenant(caller, tenant))
        self._changed()

    async def move(self, caller: Caller, account: str, tenant: str) -> Account:
        """Give an account to another tenant, and return it. Raises NotFound."""
        check(caller, "accounts.move", account)
        moved = await self._accounts.move(account, await self._delegation.tenant(caller, tenant))
        self._changed()
        return moved
