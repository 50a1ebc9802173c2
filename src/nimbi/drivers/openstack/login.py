"""Who is logged in: what HTTP Basic can carry, or the login of this very user."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from nimbi.driver.interface import Place
from nimbi.drivers.openstack.settings import Settings
from nimbi.drivers.openstack.tokens import Way
from nimbi.model.errors import Unauthorized

# Beginnings of a Basic user that say that no password follows.
APPLICATION_CREDENTIAL = "application_credential="
TOKEN = "token="  # noqa: S105  a word, no secret

# What Keystone makes up as ids: of users, projects, domains; of users of a directory.
_ID = re.compile(r"[0-9a-f]{32}\Z|[0-9a-f]{64}\Z")
# The one domain whose id can be read; its name is "Default".
_FIRST_DOMAIN = "default"


class Login(msgspec.Struct, frozen=True):
    """A user and a password, as HTTP Basic carries them, and where they belong.

    By Basic the user is one of `USER`, `USER+PROJECT`, `USER+PROJECT+DOMAIN` (that of both),
    `USER+PROJECT+USER_DOMAIN+PROJECT_DOMAIN`; `application_credential=ID`, or
    `application_credential=NAME+USER+DOMAIN`, with its secret as password;
    `token=`, `token=PROJECT` or `token=PROJECT+DOMAIN` with a token as password. Each is a name
    or an id. A plus within a name is written `%2B`, a percent sign before it `%25`.
    The fields below stand before what the user says.
    """

    user: str
    password: str
    project: str | None = None
    project_id: str | None = None
    user_domain: str | None = None
    project_domain: str | None = None

    def __repr__(self) -> str:
        return "Login(…)"


class OwnLogin(msgspec.Struct, frozen=True, tag="own"):
    """The login that OpenStack's own tools would take on this machine, for this user."""

    cloud: str | None = None


def own_login(settings: Settings, _place: Place) -> OwnLogin:
    """Return the login of this very user, which is looked for at its first use."""
    return OwnLogin(settings.cloud)


def way_of(login: Login, domain: str) -> Way:
    """Return how a login is told to Keystone. `domain` is that of names without one.

    Raises Unauthorized for a user in none of the forms.
    """
    user, password = login.user, login.password
    if not password or user in ("", TOKEN[:-1]):
        raise Unauthorized("OpenStack needs a user and a password")
    if user.startswith(APPLICATION_CREDENTIAL):
        parts = _parts(user.removeprefix(APPLICATION_CREDENTIAL), 3)
        return application_credential(password, *_application(parts, login, domain))
    if user.startswith(TOKEN):
        parts = _parts(user.removeprefix(TOKEN), 2)
        scope = _scope(login, parts[0], parts[1], domain)
        return Way(_token(password), scope, given=password)
    name, project, of_user, of_project = _parts(user, 4)
    if not name:
        raise Unauthorized("OpenStack needs a user before the project: user+project")
    user_domain = login.user_domain or of_user or domain
    told = {**named_user(name, user_domain), "password": password}
    identity = {"methods": ["password"], "password": {"user": told}}
    return Way(identity, _scope(login, project, of_project or of_user, domain))


def application_credential(
    secret: str, id: str | None, name: str | None = None, user: Mapping[str, Any] | None = None
) -> Way:
    """Return the way of an application credential: by its id, or by its name and user."""
    told: dict[str, Any] = {"secret": secret}
    if id is not None:
        told["id"] = id
    else:
        told |= {"name": name, "user": user}
    return Way({"methods": ["application_credential"], "application_credential": told})


def named_user(user: str, domain: str | None) -> dict[str, Any]:
    """Return the part of Keystone's request that names a user, by id or by name."""
    if is_id(user):
        return {"id": user}
    return {"name": user, "domain": domain_of(domain or _FIRST_DOMAIN)}


def project_scope(project: str, domain: str | None) -> dict[str, Any]:
    """Return the scope of a project, by id or by name."""
    if is_id(project):
        return {"project": {"id": project}}
    return {"project": {"name": project, "domain": domain_of(domain or _FIRST_DOMAIN)}}


def domain_of(domain: str) -> dict[str, str]:
    """Return the part of Keystone's request that names a domain."""
    return {"id": domain} if domain == _FIRST_DOMAIN or is_id(domain) else {"name": domain}


def is_id(text: str) -> bool:
    """Return whether a text is an id that Keystone made up; else it is a name."""
    return _ID.match(text) is not None


def _application(
    parts: list[str], login: Login, domain: str
) -> tuple[str | None, str | None, Mapping[str, Any] | None]:
    name, user, of_user = parts
    if not name:
        raise Unauthorized("OpenStack needs the id of the application credential")
    if not user:
        return name, None, None
    return None, name, named_user(user, login.user_domain or of_user or domain)


def _token(id: str) -> dict[str, Any]:
    return {"methods": ["token"], "token": {"id": id}}


def _scope(login: Login, project: str, of_project: str, domain: str) -> dict[str, Any] | None:
    if login.project_id:
        return {"project": {"id": login.project_id}}
    name = login.project or project
    return project_scope(name, login.project_domain or of_project or domain) if name else None


def _parts(text: str, most: int) -> list[str]:
    """Return the parts between plus signs, "" for those that are not there."""
    parts = text.split("+")
    if len(parts) > most:
        raise Unauthorized("OpenStack's user is user, user+project or user+project+domain")
    return [_unescaped(part) for part in parts] + [""] * (most - len(parts))


def _unescaped(part: str) -> str:
    return re.sub(r"%(2[Bb]|25)", lambda found: unquote(found[0]), part)
