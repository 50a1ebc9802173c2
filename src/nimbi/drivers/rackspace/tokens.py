"""Tokens of Identity v2.0, and the catalogue that they bring."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from nimbi.drivers.openstack.calls import lost, openstack_error, sent
from nimbi.drivers.openstack.catalogue import Catalogue, Endpoint, Service
from nimbi.drivers.openstack.tokens import Token, Way
from nimbi.model.errors import CloudError, Forbidden, Unauthorized
from nimbi.wire.http import HttpClient, Request
from nimbi.wire.renewal import Lease

JSON = {"Content-Type": "application/json", "Accept": "application/json"}
REFUSED = frozenset({400, 401, 404})

# The first generation of servers, which speaks another protocol under the same type.
FIRST_SERVERS = "cloudServers"


@dataclass(frozen=True, repr=False)
class RackspaceToken(Token):
    """A token, and the region that is its user's own."""

    home: str | None = None


class _Named(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""


class _Token(msgspec.Struct, frozen=True):
    id: str
    expires: str = ""
    tenant: _Named = _Named()


class _User(msgspec.Struct, frozen=True):
    id: str = ""
    home: str | None = msgspec.field(name="RAX-AUTH:defaultRegion", default=None)
    roles: tuple[_Named, ...] = ()


class _Endpoint(msgspec.Struct, frozen=True):
    region: str | None = None
    public: str = msgspec.field(name="publicURL", default="")
    internal: str = msgspec.field(name="internalURL", default="")


class _Service(msgspec.Struct, frozen=True):
    type: str
    name: str = ""
    endpoints: tuple[_Endpoint, ...] = ()


class _Access(msgspec.Struct, frozen=True):
    token: _Token
    user: _User = _User()
    services: tuple[_Service, ...] = msgspec.field(name="serviceCatalog", default=())


class _Answered(msgspec.Struct, frozen=True):
    access: _Access


async def issued(http: HttpClient, auth_url: str, way: Way) -> Lease[Token]:
    """Return a new token. `auth_url` ends with `/v2.0`. Raises Unauthorized, Forbidden, ….

    Source: https://docs.rackspace.com/docs/annotated-authentication-request-and-response
    """
    body = msgspec.json.encode({"auth": way.identity})
    answer = await sent(http, Request("POST", f"{auth_url}/tokens", JSON, body), changes=False)
    if answer.status in REFUSED:
        raise Unauthorized(f"Rackspace refused the login: it answered {answer.status}")
    if answer.status == 403:
        raise Forbidden("Rackspace has disabled this user")
    if answer.status >= 300:
        raise openstack_error("identity", answer.status, answer.headers, answer.body)
    try:
        told = msgspec.json.decode(answer.body, type=_Answered).access
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise lost("it is no token", changes=False) from error
    if not (told.token.id and told.token.id.isascii() and told.token.id.isprintable()):
        raise CloudError("Rackspace's answer to the login brings no token")
    token = RackspaceToken(
        id=told.token.id,
        expires_at=_time(told.token.expires),
        project_id=told.token.tenant.id or None,
        project=told.token.tenant.name or None,
        user_id=told.user.id or None,
        roles=tuple(role.name for role in told.user.roles),
        catalogue=Catalogue(tuple(_services(told.services))),
        home=told.user.home,
    )
    return Lease(token, token.expires_at)


def _services(services: Iterable[_Service]) -> Iterable[Service]:
    for service in services:
        if service.name == FIRST_SERVERS:
            continue
        endpoints = [
            Endpoint(url, interface, endpoint.region)
            for endpoint in service.endpoints
            for interface, url in (("public", endpoint.public), ("internal", endpoint.internal))
            if url
        ]
        yield Service(service.type, tuple(endpoints), service.name)


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
