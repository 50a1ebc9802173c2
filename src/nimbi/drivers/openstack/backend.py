"""What all sessions of this process share."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from ssl import CERT_NONE, SSLContext, create_default_context
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec

from nimbi.driver.interface import Place
from nimbi.drivers.openstack.access import Access, Tls
from nimbi.drivers.openstack.settings import Settings
from nimbi.drivers.openstack.tokens import Token
from nimbi.model.errors import CloudError
from nimbi.wire.budget import Budgets
from nimbi.wire.destinations import Reach
from nimbi.wire.fresh import Fresh
from nimbi.wire.http import HttpClient, open_client
from nimbi.wire.renewal import Lease, Renewed
from nimbi.wire.room import MIB, Room
from nimbi.wire.sharing import Shared

T = TypeVar("T")


@dataclass(frozen=True)
class Backend:
    """The connections, what is remembered between calls, and what the environment says."""

    http: HttpClient
    settings: Settings
    environment: Mapping[str, str]
    stack: AsyncExitStack
    fresh: Fresh = field(default_factory=Fresh)
    shared: Shared = field(default_factory=Shared)
    budgets: Budgets = field(default_factory=Budgets)
    # Logins that differ in their secret only must be told apart, and no secret told by that.
    salt: bytes = field(default_factory=lambda: os.urandom(16), repr=False)
    _tokens: WeakValueDictionary[str, Renewed[Token]] = field(default_factory=WeakValueDictionary)
    _clients: dict[Tls, HttpClient] = field(default_factory=dict)
    _reach: Reach = Reach.ANYWHERE
    _reaching: "dict[Reach, Backend]" = field(default_factory=dict)

    @cached_property
    def room(self) -> Room:
        """The memory that all blobs under way share."""
        return Room(self.settings.segments_memory_mib * MIB)

    def reaching(self, reach: Reach) -> "Backend":
        """Return the same, whose connections go only so far.

        It shares no tokens and no answers: those who fetch them for others reach as far as they do.
        """
        if reach is self._reach:
            return self
        found = self._reaching.get(reach)
        if found is None:
            found = self._reaching[reach] = replace(
                self,
                http=self.http.reaching(reach),
                shared=Shared(),
                _tokens=WeakValueDictionary(),
                _reach=reach,
                _reaching={},
            )
        return found

    async def cached(self, key: Hashable, age_s: float, make: Callable[[], Awaitable[T]]) -> T:
        """Return an answer at most `age_s` old, made once for all who ask at the same time.

        `key` must name the login and the region, when the answer depends on them: see
        `Session.key`.
        """
        return await self.shared.get(key, age_s, make)

    def login_id(self, access: Access) -> str:
        """Return what tells a login from all others, and is no secret."""
        told = msgspec.json.encode((access.auth_url, access.way.told() if access.way else None))
        return blake2b(told, digest_size=16, key=self.salt).hexdigest()

    def tokens(self, id: str, fetch: Callable[[], Awaitable[Lease[Token]]]) -> Renewed[Token]:
        """Return the token of a login, for all its sessions as long as one is open."""
        tokens = self._tokens.get(id)
        if tokens is None:
            tokens = self._tokens[id] = Renewed("a token of OpenStack", fetch)
        return tokens

    async def client(self, tls: Tls) -> HttpClient:
        """Return connections that trust what a login's own file says."""
        if tls == Tls():
            return self.http
        if tls not in self._clients:
            client = open_client(tls=_context(tls))
            self._clients[tls] = await self.stack.enter_async_context(client)
        return self._clients[tls].reaching(self._reach)

    async def aclose(self) -> None:
        """Stop what is under way."""
        for other in self._reaching.values():
            await other.aclose()
        for tokens in list(self._tokens.values()):
            await tokens.aclose()
        await self.shared.aclose()


def _context(tls: Tls) -> SSLContext:
    """Return whom connections trust. Raises CloudError for files that cannot be read."""
    try:
        context = create_default_context(cafile=_path(tls.ca_file))
        if tls.cert_file is not None:
            context.load_cert_chain(_path(tls.cert_file) or "", _path(tls.key_file))
    except OSError as error:
        told = tls.ca_file or tls.cert_file
        raise CloudError(f"the certificates of {told} cannot be read: {error.strerror}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = CERT_NONE
    return context


def _path(file: str | None) -> str | None:
    return str(Path(file).expanduser()) if file else None


@asynccontextmanager
async def start(settings: Settings, _place: Place) -> AsyncIterator[Backend]:
    """Open what all sessions share. Raises CloudError for files that cannot be read."""
    tls = Tls(ca_file=settings.ca_file)
    async with AsyncExitStack() as stack:
        trusted = _context(tls) if settings.ca_file else None
        http = await stack.enter_async_context(open_client(tls=trusted))
        backend = Backend(http, settings, os.environ, stack)
        try:
            yield backend
        finally:
            await backend.aclose()
