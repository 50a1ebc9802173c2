"""Tokens of Keystone v3: how one logs in, and what the answer says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from nimbi.drivers.openstack.calls import lost, openstack_error, sent
from nimbi.drivers.openstack.catalogue import Catalogue, Service
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.federation import Federation, federated
from nimbi.model.errors import Invalid, Unauthorized
from nimbi.wire.http import Answer, HttpClient, Request
from nimbi.wire.renewal import Lease

LIMIT_BYTES = 16 * 2**20
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
UNIQUE = 2


@dataclass(frozen=True, repr=False)
class Token:
    """What proves a login, and what it is good for."""

    id: str
    expires_at: datetime | None = None
    project_id: str | None = None
    project: str | None = None
    user_id: str | None = None
    roles: tuple[str, ...] = ()
    catalogue: Catalogue = field(default_factory=Catalogue)

    def __repr__(self) -> str:
        return f"Token(project_id={self.project_id!r})"


@dataclass(frozen=True, repr=False)
class Way:
    """How to log in: the parts `identity` and `scope` of what Keystone is sent.

    `scope` None leaves the project to Keystone: that of an application credential, or the user's
    own one. `given` is a token to take as it is; with `federation`, Keystone is told no identity.
    """

    identity: Mapping[str, Any] = field(default_factory=dict)
    scope: Mapping[str, Any] | None = None
    given: str | None = None
    federation: Federation | None = None

    def told(self) -> tuple[Any, ...]:
        """Return all of it, to tell logins apart; holds secrets."""
        return (self.identity, self.scope, self.given, self.federation)

    @property
    def is_bound(self) -> bool:
        """Whether the project belongs to the login itself."""
        return "application_credential" in self.identity.get("methods", ())


class _Named(msgspec.Struct, frozen=True):
    id: str
    name: str = ""


class _Told(msgspec.Struct, frozen=True):
    expires_at: str | None = None
    project: _Named | None = None
    user: _Named | None = None
    roles: tuple[_Named, ...] = ()
    catalog: tuple[Service, ...] = ()


class _Answered(msgspec.Struct, frozen=True):
    token: _Told


class _Projects(msgspec.Struct, frozen=True):
    projects: tuple[_Named, ...]


async def issued(http: HttpClient, auth_url: str, way: Way) -> Lease[Token]:
    """Return a new token for a project. `auth_url` ends with `/v3`.

    A login that names no project gets its own one, or the only one that it may use. Raises
    Unauthorized, Invalid when the project cannot be told, CloudUnavailable.
    """
    if way.federation is not None:
        unscoped = await federated(http, auth_url, way.federation)
        answer = await sent(http, unscoped, changes=False)
        token = _read(_good(answer), answer.headers.get("X-Subject-Token", ""))
        if way.scope is not None:
            token = await _asked(http, auth_url, _of_token(token), way.scope)
    elif way.given is not None and way.scope is None:
        token = await _looked_up(http, auth_url, way.given)
    else:
        token = await _asked(http, auth_url, way.identity, way.scope)
    if token.project_id is None and way.scope is None and not way.is_bound:
        project = await _only_project(http, auth_url, token)
        token = await _asked(http, auth_url, _of_token(token), {"project": {"id": project}})
    return Lease(token, token.expires_at)


def _of_token(token: Token) -> dict[str, Any]:
    return {"methods": ["token"], "token": {"id": token.id}}


async def _asked(
    http: HttpClient, auth_url: str, identity: Mapping[str, Any], scope: Mapping[str, Any] | None
) -> Token:
    auth: dict[str, Any] = {"identity": identity}
    if scope is not None:
        auth["scope"] = scope
    body = msgspec.json.encode({"auth": auth})
    request = Request("POST", f"{auth_url}/auth/tokens", JSON, body)
    answer = await sent(http, request, changes=False)
    id = answer.headers.get("X-Subject-Token", "")
    return _read(_good(answer), id)


async def _looked_up(http: HttpClient, auth_url: str, id: str) -> Token:
    headers = {**JSON, "X-Auth-Token": id, "X-Subject-Token": id}
    request = Request("GET", f"{auth_url}/auth/tokens", headers)
    answer = await sent(http, request, changes=False)
    if answer.status == 404:
        raise Unauthorized("OpenStack refused the login: the token is not known")
    return _read(_good(answer), id)


async def _only_project(http: HttpClient, auth_url: str, token: Token) -> str:
    headers = {**JSON, "X-Auth-Token": token.id}
    request = Request("GET", f"{auth_url}/auth/projects", headers)
    answer = _good(await sent(http, request, changes=False))
    try:
        projects = msgspec.json.decode(answer.body, type=_Projects).projects
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise lost("it is no list of projects", changes=False) from error
    if len(projects) == 1:
        return projects[0].id
    if not projects:
        raise Unauthorized("OpenStack refused the login: this user has no project")
    names = ", ".join(sorted(project.name for project in projects)[:20])
    raise Invalid(f"the login must name one of its projects (user+project): {names}")


def _good(answer: Answer) -> Answer:
    if answer.status < 300:
        return answer
    error = openstack_error("identity", answer.status, answer.headers, answer.body)
    if answer.status in (400, 401):
        # Of a login, Keystone's own words tell no more than this.
        raise OpenStackError("identity", 401, "unauthorized", request_id=error.request_id)
    raise error


def _read(answer: Answer, id: str) -> Token:
    try:
        told = msgspec.json.decode(answer.body, type=_Answered).token
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise lost("it is no token", changes=False) from error
    if not id or not id.isascii() or not id.isprintable():
        raise lost("it brings no token", changes=False)
    return Token(
        id=id,
        expires_at=_time(told.expires_at),
        project_id=told.project.id if told.project else None,
        project=told.project.name if told.project else None,
        user_id=told.user.id if told.user else None,
        roles=tuple(role.name for role in told.roles),
        catalogue=Catalogue(told.catalog),
    )


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise lost("its token expires at no time", changes=False) from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
