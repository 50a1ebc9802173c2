"""What all sessions of this process share."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from nimbi.driver.interface import Place
from nimbi.drivers.ec2.logins.chain import found
from nimbi.drivers.ec2.logins.ground import Ground
from nimbi.drivers.ec2.logins.lease import Lease, Renewed
from nimbi.drivers.ec2.profiles import Profiles, read_profiles
from nimbi.drivers.ec2.settings import Settings
from nimbi.model.errors import CloudError
from nimbi.wire.budget import Budgets
from nimbi.wire.destinations import Reach
from nimbi.wire.fresh import Fresh
from nimbi.wire.http import HttpClient, open_client
from nimbi.wire.readings import Readings
from nimbi.wire.room import MIB, Room
from nimbi.wire.sharing import Shared

T = TypeVar("T")

# AWS refuses what was signed more than five minutes ago or ahead.
SKEW = timedelta(minutes=4)


@dataclass(frozen=True)
class Backend:
    """The connections, what is remembered between calls, and what the environment says.

    `environment` and `profiles` are those of the user who runs this program.
    """

    http: HttpClient
    settings: Settings
    environment: Mapping[str, str]
    profiles: Profiles
    # Where this very user's own keys come from, which may be the machine itself.
    own_http: HttpClient | None = None
    fresh: Fresh = field(default_factory=Fresh)
    shared: Shared = field(default_factory=Shared)
    budgets: Budgets = field(default_factory=Budgets)
    readings: Readings[Any] = field(default_factory=Readings)
    # Logins that differ in their secret only must be told apart, and no secret told by that.
    salt: bytes = field(default_factory=lambda: os.urandom(16), repr=False)
    _sources: dict[str | None, Renewed] = field(default_factory=dict)
    _skews: dict[str, timedelta] = field(default_factory=dict)
    _reaching: "dict[Reach, Backend]" = field(default_factory=dict)

    @cached_property
    def room(self) -> Room:
        """The memory that all blobs under way share."""
        return Room(self.settings.parts_memory_mib * MIB)

    def reaching(self, reach: Reach) -> "Backend":
        """Return the same, whose connections to the cloud go only so far."""
        if reach is Reach.ANYWHERE:
            return self
        # One for all sessions: they share the memory of `room`.
        found = self._reaching.get(reach)
        if found is None:
            http = self.http.reaching(reach)
            found = self._reaching[reach] = replace(self, http=http, own_http=self.http)
        return found

    async def cached(self, key: Hashable, age_s: float, make: Callable[[], Awaitable[T]]) -> T:
        """Return an answer at most `age_s` old, made once for all who ask at the same time.

        `key` must name the login and the region, when the answer depends on them: see
        `Session.key`.
        """
        return await self.shared.get(key, age_s, make)

    def own_source(self, profile: str | None) -> Renewed:
        """Return the keys of this very user, or of one of their profiles, for all sessions.

        Files are read again whenever new keys are needed.
        """

        async def fetch() -> Lease:
            profiles = read_profiles(self.environment, profile)
            http = self.own_http or self.http
            return await found(Ground(http, self.settings, self.environment, profiles), profile)

        source = self._sources.get(profile)
        if source is None:
            source = self._sources[profile] = Renewed(f"own {profile or ''}", fetch)
        return source

    async def aclose(self) -> None:
        """Stop what is under way."""
        for source in self._sources.values():
            await source.aclose()
        await self.shared.aclose()

    def now(self, url: str) -> datetime | None:
        """Return the time as the server of a URL sees it; None when its clock agrees with ours."""
        skew = self._skews.get(url)
        return None if skew is None else datetime.now(UTC) + skew

    def set_clock(self, url: str, server_time: datetime | None) -> bool:
        """Go by a server's clock from now on; return whether it tells another time than before."""
        if server_time is None:
            return False
        skew = server_time - datetime.now(UTC)
        if abs(skew - self._skews.get(url, timedelta())) < SKEW:
            return False
        self._skews[url] = skew
        return True


@asynccontextmanager
async def start(settings: Settings, _place: Place) -> AsyncIterator[Backend]:
    """Open what all sessions share. Raises CloudError for files that cannot be read."""
    environment = os.environ
    profiles = read_profiles(environment, settings.profile)
    ca_file = (
        settings.ca_file
        or environment.get("AWS_CA_BUNDLE")
        or profiles.current_or_nothing.get("ca_bundle")
    )
    try:
        client = open_client(ca_file=_path(ca_file))
        async with client as http:
            backend = Backend(http, settings, environment, profiles)
            try:
                yield backend
            finally:
                await backend.aclose()
    except OSError as error:
        raise CloudError(
            f"the certificates of {ca_file} cannot be read: {error.strerror}"
        ) from error


def _path(file: str | None) -> Path | None:
    return Path(file).expanduser() if file else None
