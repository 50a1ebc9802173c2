"""Users and groups: who sees and changes them."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from nimbi.broker.access import Caller, check, is_below
from nimbi.broker.passwords import Passwords
from nimbi.broker.rights.delegation import Delegation
from nimbi.model.errors import Conflict, Forbidden, Invalid, NotFound
from nimbi.model.people import (
    OPERATOR,
    ROOT,
    Group,
    NewGroup,
    NewUser,
    User,
    UserChange,
    UserKind,
    check_email,
    check_identity,
)
from nimbi.store.directory import GROUP, USER
from nimbi.store.users import ADMIN_USER, GroupStore, UserStore


class Users:
    """All users, as far as each caller sees them: itself, and those of its tenant and below."""

    def __init__(
        self,
        store: UserStore,
        passwords: Passwords,
        delegation: Delegation,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._delegation = delegation
        self._changed = changed

    async def page(self, caller: Caller) -> tuple[User, ...]:
        """Return all, by name."""
        found = await self._store.page(caller.below)
        return (ADMIN_USER, *found) if caller.tenant == ROOT else found

    async def get(self, caller: Caller, told: str) -> User:
        """Return one by its id or name. Raises NotFound, also for one of others."""
        found = await self._store.get(told)
        if found.id != caller.user:
            if not is_below(caller, found.tenant):
                raise NotFound(f"there is no user {told[:60]!r}")
            check(caller, "users.get", None)
        return found

    async def create(self, caller: Caller, new: NewUser) -> User:
        """Return a new user, who has no role anywhere yet. Raises Conflict for a name in use."""
        new.check()
        tenant = await self._delegation.tenant(caller, new.tenant)
        hash = None if new.password is None else await self._passwords.hashed(new.password)
        user = User(
            id=f"u-{secrets.token_hex(6)}",
            name=new.name,
            kind=new.kind,
            tenant=tenant,
            created_at=datetime.now(UTC),
            email=new.email,
        )
        return await self._store.add(user, hash)

    async def change(
        self, caller: Caller, told: str, change: UserChange, where: str | None = None
    ) -> User:
        """Return the user as it is then.

        Everybody may set a password of their own by telling the old one; all else is for who may
        change users, and has all that the user has. Raises Forbidden, Conflict for an identity at
        a provider that is another user's, Throttled for who guesses from `where`.
        """
        check_email(change.email)
        check_identity(change.issuer, change.subject)
        user = await self.get(caller, told)
        if _is_own_password(caller, user, change):
            assert change.old_password is not None  # noqa: S101  which is what makes it one's own
            if not await self._passwords.is_right(user.id, change.old_password, where):
                raise Forbidden("the old password is another one")
        elif user.id == caller.user and change.password is not None:
            # Whoever found a token is not to come by the user.
            raise Forbidden("a password of one's own takes the old one, and no other change")
        else:
            check(caller, "users.update", None)
            await self._delegation.check_held(caller, USER, user.id)
        if user.kind is UserKind.SERVICE and (change.password or change.issuer):
            raise Invalid("a service account has tokens, and signs in nowhere")
        if change.password is not None:
            await self._passwords.set(change.password, user.id)
        return await self._changed_to(caller, user, change)

    async def _changed_to(self, caller: Caller, user: User, change: UserChange) -> User:
        """Change all but the password."""
        tenant, identity = None, None
        if change.tenant is not None:
            tenant = await self._delegation.tenant(caller, change.tenant)
        if change.issuer is not None and change.subject is not None:
            identity = change.issuer, change.subject
        is_enabled, email = change.is_enabled, change.email
        if (is_enabled, email, tenant, identity) == (None,) * 4:
            return user
        user = await self._store.change(
            user.id, is_enabled=is_enabled, email=email, tenant=tenant, identity=identity
        )
        self._changed()
        return user

    async def destroy(self, caller: Caller, told: str) -> None:
        """Remove a user, its tokens and all that it was given; what it made stays."""
        user = await self.get(caller, told)
        await self._delegation.check_held(caller, USER, user.id)
        await self._store.remove(user.id)
        self._changed()

    async def near(self, caller: Caller, told: str) -> User:
        """Return a user to whom a caller may give something.

        Such belong to its tenant, to one below or above. Raises NotFound, Forbidden.
        """
        found = await self._store.get(told)
        if found.id == OPERATOR:
            raise Forbidden("the operator needs no roles")
        if not is_below(caller, found.tenant) and found.tenant not in caller.path:
            raise NotFound(f"there is no user {told[:60]!r}")
        return found


class Groups:
    """All groups, as far as each caller sees them: those of its tenant and below."""

    def __init__(
        self, store: GroupStore, users: Users, delegation: Delegation, changed: Callable[[], None]
    ) -> None:
        self._store = store
        self._users = users
        self._delegation = delegation
        self._changed = changed

    async def page(self, caller: Caller) -> tuple[Group, ...]:
        """Return all with their members, by name."""
        return await self._store.page(caller.below)

    async def get(self, caller: Caller, told: str) -> Group:
        """Return one by its id or name. Raises NotFound, Conflict when several have the name."""
        return chosen(
            [one for one in await self._store.get(told) if is_below(caller, one.tenant)],
            "group",
            told,
        )

    async def near(self, caller: Caller, told: str) -> Group:
        """Return a group to which a caller may give something, as `Users.near`."""
        known = await self._store.get(told)
        return chosen(
            [one for one in known if is_below(caller, one.tenant) or one.tenant in caller.path],
            "group",
            told,
        )

    async def create(self, caller: Caller, new: NewGroup) -> Group:
        """Return a new group without members. Raises Conflict for a name in use there."""
        new.check()
        group = Group(
            id=f"g-{secrets.token_hex(6)}",
            name=new.name,
            tenant=await self._delegation.tenant(caller, new.tenant),
            created_at=datetime.now(UTC),
        )
        return await self._store.add(group)

    async def add_member(self, caller: Caller, told: str, user: str) -> Group:
        """Put a user in a group, who gets all that the group has. Raises Forbidden for more."""
        group, member = await self._pair(caller, told, user)
        await self._store.join(group.id, member.id)
        self._changed()
        return await self.get(caller, group.id)

    async def remove_member(self, caller: Caller, told: str, user: str) -> Group:
        """Take a user out of a group. Raises NotFound when it is not in it."""
        group, member = await self._pair(caller, told, user)
        await self._store.leave(group.id, member.id)
        self._changed()
        return await self.get(caller, group.id)

    async def destroy(self, caller: Caller, told: str) -> None:
        """Remove a group; its members lose what it had."""
        group = await self.get(caller, told)
        await self._delegation.check_held(caller, GROUP, group.id)
        await self._store.remove(group.id)
        self._changed()

    async def _pair(self, caller: Caller, told: str, user: str) -> tuple[Group, User]:
        group = await self.get(caller, told)
        await self._delegation.check_held(caller, GROUP, group.id)
        return group, await self._users.near(caller, user)


def chosen(found: list[Group], what: str, told: str) -> Group:
    """Return the one that is meant. Raises NotFound for none, Conflict for several."""
    exact = [one for one in found if one.id == told] or found
    if not exact:
        raise NotFound(f"there is no {what} {told[:60]!r}")
    if len(exact) > 1:
        raise Conflict(f"several have the name {told!r}: tell the id of one")
    return exact[0]


def _is_own_password(caller: Caller, user: User, change: UserChange) -> bool:
    others = (change.is_enabled, change.email, change.tenant, change.issuer)
    return user.id == caller.user and change.old_password is not None and others == (None,) * 4
