"""Login to a store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property

from msgspec.structs import replace

from nimbi.driver.interface import Account
from nimbi.drivers.ec2.backend import Backend
from nimbi.drivers.ec2.endpoints import Endpoints, endpoints_of
from nimbi.drivers.ec2.login import Source, source_of
from nimbi.drivers.ec2.objects.client import ObjectClient
from nimbi.drivers.ec2.objects.sessions import objects_of
from nimbi.drivers.ec2.session import Session as AwsSession
from nimbi.drivers.s3.places import Place, check_allowed, checked_url, place_of
from nimbi.drivers.s3.settings import Settings


class Session(AwsSession):
    """One login to one store."""

    def __init__(
        self, backend: Backend, endpoints: Endpoints, source: Source, place: Place
    ) -> None:
        super().__init__(backend, endpoints, source)
        self._place = place

    @cached_property
    def objects(self) -> ObjectClient:
        """The way to call the store."""
        settings = self.backend.settings
        told = settings.write_conditions if isinstance(settings, Settings) else None
        return objects_of(
            self,
            path_style=self._place.path_style if self._place.addressing else settings.path_style,
            has_conditions=self.endpoints.is_aws("s3") if told is None else told,
        )


@asynccontextmanager
async def open_session(backend: Backend, account: Account) -> AsyncIterator[Session]:
    """Log in to the store that the provider, or else the settings, name.

    Raises Invalid for what names none, Forbidden for one that a provider may not name.
    """
    backend = backend.reaching(account.reach)
    place = place_of(account.provider)
    endpoints = _endpoints(backend, place)
    yield Session(backend, endpoints, source_of(account.credentials, backend), place)


def _endpoints(backend: Backend, place: Place) -> Endpoints:
    settings = backend.settings
    url = settings.endpoint_urls.get("s3") or settings.endpoint_url
    if place.endpoint is not None and place.endpoint != url:
        allowed = settings.allowed_endpoints if isinstance(settings, Settings) else None
        check_allowed(place.endpoint, allowed)
        url = place.endpoint
    if url is not None:
        # The store stands in for S3 alone; whoever needs another service for its login asks AWS.
        urls = {**settings.endpoint_urls, "s3": checked_url(url)}
        settings = replace(settings, endpoint_url=None, endpoint_urls=urls)
    return endpoints_of(place.region, settings, backend.environment, backend.profiles)
