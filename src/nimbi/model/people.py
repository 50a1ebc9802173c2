"""People and tenants: who there is, where they belong, and what their roles let them do."""

import re
from datetime import datetime
from enum import Enum

import msgspec

from nimbi.model.errors import Invalid
from nimbi.model.resource import NewResource
from nimbi.model.tokens import EVERYTHING, Scope

# The tenant above all others, and the user that the operator is: both are always there.
ROOT = "root"
OPERATOR = "admin"

LONGEST_NAME = 100
MOST_RULES = 50
# Tenants from the root domain to the lowest project.
DEEPEST = 8

# What stands in paths of tenants, in URLs and in files.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,98}[A-Za-z0-9])?")


_ID = re.compile(r"[a-z]-[0-9a-f]{12}")


class Effect(Enum):
    """What a rule does with the operations that it stands for."""

    ALLOW = "allow"
    DENY = "deny"


class RoleRule(msgspec.Struct, frozen=True):
    """One rule of a role. The first that stands for an operation decides; without one it is denied.

    `operations` is an operation (`instances.start`), a collection (`instances.*`), a verb in all
    collections (`*.destroy`), `read` for all that change nothing, or `*`.
    """

    effect: Effect
    operations: str


ALLOW_ALL = (RoleRule(Effect.ALLOW, EVERYTHING),)


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who wanted something that goes on after the request: a job, a thing in a cloud.

    `user` is the id of a user, `name` is for people; it acts in `tenant`, and may do no more there
    than `scopes` say.
    """

    user: str
    name: str
    tenant: str = ROOT
    scopes: tuple[Scope, ...] = (Scope(),)


class UserKind(Enum):
    """Somebody who signs in, or a program that has tokens and no password."""

    PERSON = "person"
    SERVICE = "service"


class NewUser(NewResource, frozen=True, kw_only=True):
    """A user; `tenant` is where it belongs, that of the caller when not told.

    A person without a password cannot sign in until it has one, or comes from another provider.
    """

    name: str
    kind: UserKind = UserKind.PERSON
    tenant: str | None = None
    email: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"NewUser({self.name!r}, …)"

    def check(self) -> None:
        """Raise Invalid for a name that cannot be one, and a service account with a password."""
        check_name("a user", self.name)
        check_email(self.email)
        if self.kind is UserKind.SERVICE and self.password is not None:
            raise Invalid("a service account has tokens and no password")


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user; `issuer` and `subject` are those of the provider that it signs in at, if any."""

    id: str
    name: str
    kind: UserKind
    tenant: str
    created_at: datetime
    email: str | None = None
    is_enabled: bool = True
    issuer: str | None = None
    subject: str | None = None


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; what is not told stays. `password` ends no token.

    `issuer` and `subject`, told together, let whom that provider knows so sign in as this user.
    """

    is_enabled: bool | None = None
    email: str | None = None
    tenant: str | None = None
    issuer: str | None = None
    subject: str | None = None
    password: str | None = None
    old_password: str | None = None

    def __repr__(self) -> str:
        return "UserChange(…)"


class NewGroup(NewResource, frozen=True, kw_only=True):
    """A group of users; it belongs to `tenant`, that of the caller when not told."""

    name: str
    tenant: str | None = None

    def check(self) -> None:
        """Raise Invalid for a name that cannot be one."""
        check_name("a group", self.name)


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group with the ids of its members."""

    id: str
    name: str
    tenant: str
    created_at: datetime
    members: tuple[str, ...] = ()


class NewTenant(NewResource, frozen=True, kw_only=True):
    """A domain or a project in the domain `parent`, that of the caller when not told."""

    name: str
    parent: str | None = None
    text: str = ""

    def check(self) -> None:
        """Raise Invalid for a name that cannot be one."""
        check_name("a tenant", self.name)
        check_text(self.text)


class TenantChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; what is not told stays. Another `parent` moves all that is below."""

    name: str | None = None
    parent: str | None = None
    text: str | None = None
    is_enabled: bool | None = None

    def check(self) -> None:
        """Raise Invalid for a name that cannot be one."""
        if self.name is not None:
            check_name("a tenant", self.name)
        check_text(self.text or "")


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A domain, or a project, which has nothing below it.

    `path` are the ids from the root domain to this one; `place` the names below the root, with `/`
    between them: `acme/web`.
    """

    id: str
    name: str
    parent: str | None
    path: tuple[str, ...]
    place: str
    created_at: datetime
    text: str = ""
    is_enabled: bool = True


class Domain(Tenant, frozen=True, kw_only=True):
    """A tenant that others may be below; the root domain is above all."""


class Project(Tenant, frozen=True, kw_only=True):
    """A tenant that things belong to."""


class NewRole(NewResource, frozen=True, kw_only=True):
    """A role of one's own, for `tenant` and all below, that of the caller when not told."""

    name: str
    rules: tuple[RoleRule, ...]
    tenant: str | None = None
    text: str = ""

    def check(self) -> None:
        """Raise Invalid for a name that cannot be one, no rules and too many."""
        check_name("a role", self.name)
        check_text(self.text)
        if not 1 <= len(self.rules) <= MOST_RULES:
            raise Invalid(f"a role has 1 to {MOST_RULES} rules")


class RoleChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; what is not told stays."""

    rules: tuple[RoleRule, ...] | None = None
    text: str | None = None

    def check(self) -> None:
        """Raise Invalid for no rules and too many."""
        check_text(self.text or "")
        if self.rules is not None and not 1 <= len(self.rules) <= MOST_RULES:
            raise Invalid(f"a role has 1 to {MOST_RULES} rules")


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role. Built-in ones have their name as id and belong to the root domain."""

    id: str
    name: str
    rules: tuple[RoleRule, ...]
    tenant: str = ROOT
    text: str = ""
    is_built_in: bool = False


class NewGrant(NewResource, frozen=True, kw_only=True):
    """Give a role at a tenant, and at all below it, to one user or one group."""

    role: str
    tenant: str
    user: str | None = None
    group: str | None = None

    def check(self) -> None:
        """Raise Invalid unless it is for one user or one group."""
        if (self.user is None) == (self.group is None):
            raise Invalid("a grant is for a user or for a group")


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A role that somebody has at a tenant and all below it; `given_by` is a user's id."""

    id: str
    role: str
    tenant: str
    created_at: datetime
    given_by: str
    user: str | None = None
    group: str | None = None


class Lend(msgspec.Struct, frozen=True, kw_only=True):
    """An account that a tenant may use, with all below it, though it belongs to another."""

    account: str
    tenant: str
    created_at: datetime


class NewLend(NewResource, frozen=True, kw_only=True):
    """Let a tenant use an account."""

    tenant: str


def check_name(what: str, name: str) -> None:
    """Raise Invalid for what cannot be a name of people and tenants."""
    # What looks like an id could be taken for that of somebody else.
    if _NAME.fullmatch(name) is None or _ID.fullmatch(name) is not None:
        raise Invalid(
            f"the name of {what} has 1 to {LONGEST_NAME} letters, digits and . _ @ + - , "
            "begins and ends with a letter or digit, and is no id"
        )


def check_text(text: str) -> None:
    """Raise Invalid for a description that is too long or has what cannot be shown."""
    if len(text) > 500 or not (text == "" or text.isprintable()):
        raise Invalid("a text has at most 500 printable characters")


def check_identity(issuer: str | None, subject: str | None) -> None:
    """Raise Invalid for half of what a provider knows a user by, and what none says."""
    if (issuer is None) is not (subject is None):
        raise Invalid("a user at a provider is known by issuer and subject: tell both")
    if issuer is None or subject is None:
        return
    if not issuer.startswith(("https://", "http://")) or len(issuer) > 1000:
        raise Invalid("issuer is the URL by which a provider calls itself")
    if not 1 <= len(subject) <= 255 or not subject.isprintable():
        raise Invalid("subject is what a provider calls a user: 1 to 255 characters")


def check_email(email: str | None) -> None:
    """Raise Invalid for what mail cannot be sent to."""
    if email is None:
        return
    name, at, host = email.rpartition("@")
    if not (at and name and host and len(email) <= 254 and email.isascii() and email.isprintable()):
        raise Invalid("email is an address such as ann@example.com")
    if " " in email:
        raise Invalid("email is an address such as ann@example.com")
