"""Who is logged in: a user, and the API key or the password."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from nimbi.driver.interface import FoundLogin, Place
from nimbi.drivers.openstack.tokens import Way
from nimbi.drivers.rackspace.settings import Settings
from nimbi.model.errors import Unauthorized

# The beginning of a Basic user that says that the password is a token of an account's.
TOKEN = "token="  # noqa: S105  a word, no secret

# What Rackspace makes up as API keys.
_API_KEY = re.compile(r"[0-9a-f]{32}\Z")


class ApiKey(msgspec.Struct, frozen=True):
    """A user, and its API key or its password, told apart by how they look.

    With the user `token=ACCOUNT`, the account's number, it is a token.
    """

    user: str
    api_key: str

    def __repr__(self) -> str:
        return "ApiKey(…)"


def own_login(_settings: Settings, _place: Place) -> ApiKey | None:
    """Return the login that the tools of Rackspace would take: `RS_USERNAME` and `RS_API_KEY`."""
    return _told_by(os.environ)


def found_logins(environment: Mapping[str, str], _home: Path) -> Iterator[FoundLogin]:
    """Yield the login that the environment tells."""
    login = _told_by(environment)
    if login is not None:
        region = environment.get("RS_REGION_NAME") or None
        source = "the variable RS_USERNAME"
        yield FoundLogin(name="environment", source=source, provider=region, credentials=login)


def _told_by(environment: Mapping[str, str]) -> ApiKey | None:
    user, key = environment.get("RS_USERNAME"), environment.get("RS_API_KEY")
    return ApiKey(user, key) if user and key else None


def way_of(login: ApiKey) -> Way:
    """Return how a login is told to Identity v2.0. Raises Unauthorized.

    Source: https://docs.rackspace.com/docs/cloud-identity/v2/api-reference/token-operations/
    """
    user, secret = login.user, login.api_key
    if not user or not secret:
        raise Unauthorized("Rackspace needs a user and an API key")
    if user.startswith(TOKEN):
        account = user.removeprefix(TOKEN)
        if not account:
            raise Unauthorized("Rackspace needs the number of the account: token=ACCOUNT")
        return Way({"tenantId": account, "token": {"id": secret}})
    told: dict[str, Any] = {"username": user}
    if _API_KEY.match(secret):
        return Way({"RAX-KSKEY:apiKeyCredentials": {**told, "apiKey": secret}})
    return Way({"passwordCredentials": {**told, "password": secret}})
