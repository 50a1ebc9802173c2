"""Logins by OpenID Connect: an access token of somebody else, whom Keystone believes."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import msgspec

from nimbi.drivers.openstack.calls import sent
from nimbi.model.errors import CloudUnavailable, Unauthorized
from nimbi.wire.http import HttpClient, Request

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, repr=False)
class Federation:
    """A login to somebody else (OpenID Connect), whom Keystone believes.

    `grant` is OAuth's way to an access token, and `told` what goes with it; "" is that the token
    is there already. `told` holds secrets.
    """

    provider: str
    protocol: str
    grant: str
    told: Mapping[str, str]
    client_secret: str | None = None
    discovery_url: str | None = None
    token_url: str | None = None


class _Discovered(msgspec.Struct, frozen=True):
    token_endpoint: str


class _Access(msgspec.Struct, frozen=True):
    access_token: str


async def federated(http: HttpClient, auth_url: str, login: Federation) -> Request:
    """Return the request that has Keystone give a token without a project. Raises Unauthorized.

    Source: https://docs.openstack.org/api-ref/identity/v3-ext/#os-federation-api
    """
    access = login.told.get("access_token") or await _access_token(http, login)
    provider, protocol = quote(login.provider, safe=""), quote(login.protocol, safe="")
    path = f"OS-FEDERATION/identity_providers/{provider}/protocols/{protocol}/auth"
    headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
    return Request("POST", f"{auth_url}/{path}", headers)


async def _access_token(http: HttpClient, login: Federation) -> str:
    """Ask the other side for an access token (RFC 6749, sections 4.3 and 4.4)."""
    url = login.token_url or await _token_url(http, login.discovery_url)
    form = {"grant_type": login.grant, **login.told}
    headers = {"Content-Type": FORM, "Accept": "application/json"}
    id, secret = form.pop("client_id"), login.client_secret
    form.pop("client_secret", None)
    if secret is None:
        form["client_id"] = id
    else:
        pair = f"{quote(id, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    request = Request("POST", url, headers, urlencode(form).encode())
    answer = await sent(http, request, changes=False)
    if answer.status >= 500:
        raise CloudUnavailable(f"the provider of identities answered {answer.status}")
    try:
        return msgspec.json.decode(answer.body, type=_Access).access_token
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unauthorized("the provider of identities refused the login") from None


async def _token_url(http: HttpClient, discovery_url: str | None) -> str:
    if discovery_url is None:
        raise Unauthorized("the login needs a discovery_endpoint or an access_token_endpoint")
    answer = await sent(http, Request("GET", discovery_url), changes=False)
    try:
        return msgspec.json.decode(answer.body, type=_Discovered).token_endpoint
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CloudUnavailable("the provider of identities tells no token_endpoint") from None
