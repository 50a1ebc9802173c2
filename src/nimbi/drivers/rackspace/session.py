"""Login to an account at one region, and what of OpenStack's API it does not take."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from nimbi.driver.interface import Account
from nimbi.drivers.openstack.access import Access
from nimbi.drivers.openstack.backend import Backend
from nimbi.drivers.openstack.objects.client import ObjectClient
from nimbi.drivers.openstack.objects.rules import Limits
from nimbi.drivers.openstack.places import check_allowed, where_of
from nimbi.drivers.openstack.session import Session as OpenStackSession
from nimbi.drivers.openstack.session import at_home
from nimbi.drivers.openstack.tokens import Token
from nimbi.drivers.rackspace import first_volumes
from nimbi.drivers.rackspace.login import ApiKey, way_of
from nimbi.drivers.rackspace.tokens import RackspaceToken, issued
from nimbi.wire.http import Answer
from nimbi.wire.renewal import Lease

IDENTITY = "https://identity.api.rackspacecloud.com/v2.0"
# Accounts of the United Kingdom are in a world of their own.
OWN_IDENTITY: Mapping[str, str] = {"LON": "https://lon.identity.api.rackspacecloud.com/v2.0"}

# Cloud Files does not always tell its limits, and signs as Swift did first.
FILES = Limits(digests=("sha1",))

# By what later versions of the API sift and sort; version 1 gives everything.
SIFTED = frozenset({"sort_key", "sort_dir", "limit", "marker", "volume_id", "metadata"})


class Session(OpenStackSession):
    """One login to one account at one region."""

    @cached_property
    def objects(self) -> ObjectClient:
        """The way to call Cloud Files."""
        return ObjectClient(self, usual=FILES)

    async def call(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any | None = None,
        headers: Mapping[str, str] | None = None,
        microversion: str | None = None,
        changes: bool,
    ) -> Answer:
        """Return the whole answer to a request; volumes are asked for by version 1 of their API."""
        is_old = service == "volume" and "/v1/" in f"{await self.url(service)}/"
        told = query
        if is_old:
            told = {name: value for name, value in (query or {}).items() if name not in SIFTED}
            body = first_volumes.asked(body)
        answer = await super().call(
            method,
            service,
            path,
            query=told,
            body=body,
            headers=headers,
            microversion=microversion,
            changes=changes,
        )
        if not is_old:
            return answer
        return replace(answer, body=first_volumes.answered(answer.body, query))


@asynccontextmanager
async def open_session(backend: Backend, account: Account) -> AsyncIterator[Session]:
    """Log in at the region that the provider, the settings or else the user names.

    Raises Invalid for a region that the account does not have, Unauthorized for a wrong login.
    """
    backend = backend.reaching(account.reach)
    where = where_of(account.provider)
    region = where.region or backend.settings.region
    usual = backend.settings.auth_url or OWN_IDENTITY.get(region or "", IDENTITY)
    if where.auth_url is not None and where.auth_url != usual:
        check_allowed(where.auth_url, backend.settings.allowed_endpoints)
    url = _versioned(where.auth_url or usual)
    settings = backend.settings
    login = account.credentials
    way = way_of(login) if isinstance(login, ApiKey) else None
    access = Access(url, region, way, settings.interface, settings.endpoint_urls)
    if way is None:
        yield Session(backend, access, backend.http, None)
        return

    async def fetch() -> Lease[Token]:
        return await issued(backend.http, url, way)

    tokens = backend.tokens(backend.login_id(access), fetch)
    token = await tokens.value()
    home = token.home if isinstance(token, RackspaceToken) else None
    if region is None and home in token.catalogue.regions(access.interface):
        access = replace(access, region=home)
    yield Session(backend, at_home(access, token), backend.http, tokens)


def _versioned(url: str) -> str:
    return url if url.endswith("/v2.0") else f"{url.removesuffix('/v3')}/v2.0"
