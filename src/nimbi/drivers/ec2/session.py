"""Login to AWS at one region, and the one way to call it."""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from collections.abc import Set as AnySet
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from nimbi.driver.capabilities import INTERFACES
from nimbi.driver.interface import Account
from nimbi.driver.operation import Collection
from nimbi.drivers.ec2.backend import Backend, start
from nimbi.drivers.ec2.calls import FIRST_PER_S, family_of, read, sent
from nimbi.drivers.ec2.endpoints import SERVICES, Endpoints, endpoints_of
from nimbi.drivers.ec2.errors import SKEWED, AwsError, is_refused_login, is_throttled
from nimbi.drivers.ec2.login import Source, source_of
from nimbi.drivers.ec2.query import encoded, flatten, text
from nimbi.drivers.ec2.regions import is_closed
from nimbi.drivers.ec2.settings import Settings
from nimbi.drivers.ec2.settling import settled
from nimbi.model.errors import Forbidden, Throttled, UnknownOutcome
from nimbi.wire.budget import OverBudget
from nimbi.wire.http import Answer, HttpClient, Request
from nimbi.wire.sigv4 import Keys, Scope, signed
from nimbi.wire.xml_read import Element

if TYPE_CHECKING:
    from nimbi.drivers.ec2.objects.client import ObjectClient

__all__ = ["Backend", "Element", "OfSession", "Session", "Settings", "open_session", "start"]

T = TypeVar("T")

# How the actions begin that take things away.
ENDINGS = ("Delete", "Deregister", "Release", "Terminate")

# Whose service is not EC2 itself.
SERVICE_OF = {"load_balancers": "elb", "metrics": "cloudwatch", "buckets": "s3", "blobs": "s3"}

SERVER_ERROR = 500
"""From this status on nobody knows whether a change was made."""

# What alone differs in answers that say the same.
REQUEST_ID = re.compile(rb"<requestId>[^<]*</requestId>")
REQUEST_ID_WITHIN = 1024

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


class Session:
    """One login at one region. Its calls raise AwsError, and CloudErrors when no answer came."""

    def __init__(self, backend: Backend, endpoints: Endpoints, source: Source) -> None:
        self.backend = backend
        self.endpoints = endpoints
        self._source = source

    @property
    def region(self) -> str:
        """The region that signatures name."""
        return self.endpoints.region

    @property
    def partition(self) -> str:
        """The world of regions that this one is in: `aws`, `aws-cn`, `aws-us-gov`, …."""
        return self.endpoints.partition

    @property
    def http(self) -> HttpClient:
        """The connections of the process."""
        return self.backend.http

    @property
    def settings(self) -> Settings:
        """The driver's part of the settings file."""
        return self.backend.settings

    @cached_property
    def objects(self) -> "ObjectClient":
        """The way to call S3. Raises Unsupported when no endpoint of S3 is known."""
        from nimbi.drivers.ec2.objects.sessions import objects_of

        return objects_of(self, path_style=self.settings.path_style)

    def now(self, url: str) -> datetime | None:
        """Return the time as the server of a URL sees it; None when our clock agrees."""
        return self.backend.now(url)

    def at(self, region: str) -> "Session":
        """Return the same login at another region of the same partition."""
        return Session(self.backend, self.endpoints.at(region), self._source)

    async def keys(self) -> Keys:
        """Return keys to sign with, refreshed when they are about to expire.

        Raises Unauthorized when there are none.
        """
        return await self._source.keys()

    async def ec2(
        self, action: str, parameters: Mapping[str, Any] | None = None, *, changes: bool = False
    ) -> Element:
        """Return the root of EC2's answer: `await session.ec2("DescribeVpcs", {"VpcId": [id]})`.

        `parameters` are as `query.flatten` takes them. `changes` is whether a lost answer may mean
        that the cloud has changed.
        """
        try:
            answer = await self._asked("ec2", action, parameters, changes)
        except (UnknownOutcome, AwsError) as error:
            if not isinstance(error, AwsError) or error.status >= SERVER_ERROR:
                self._perhaps_ended(action, parameters)
            raise
        self._perhaps_ended(action, parameters)
        return answer

    async def ec2_known(
        self,
        action: str,
        parameters: Mapping[str, Any],
        understand: Callable[[Element, bytes], T],
    ) -> T:
        """Return what `understand` reads in EC2's answer: in its root, made from its whole text.

        What it read must not change: while the answers say the same, it is not read again. Only for
        actions that change nothing, each with one `understand`.
        """
        readings = self.backend.readings

        def known(answer: Answer) -> T:
            text = REQUEST_ID.sub(b"", answer.body[:REQUEST_ID_WITHIN], count=1)
            text += answer.body[REQUEST_ID_WITHIN:]
            found: T | None = readings.find(action, text) if answer.status < 300 else None
            if found is None:
                found = understand(read(answer, changes=False), text)
                readings.keep(action, text, found)
            return found

        return await self._call("ec2", action, parameters, known, changes=False)

    def _perhaps_ended(self, action: str, parameters: Mapping[str, Any] | None) -> None:
        """Forget that a thing is new: what was taken away is not unknown because of that."""
        if action.startswith(ENDINGS):
            self.backend.fresh.discard(value for _, value in flatten(parameters or {}))

    async def elb(
        self, action: str, parameters: Mapping[str, Any] | None = None, *, changes: bool = False
    ) -> Element:
        """Return the result element of Elastic Load Balancing v2's answer."""
        return _result(await self._asked("elb", action, parameters, changes), action)

    async def cloudwatch(
        self, action: str, parameters: Mapping[str, Any] | None = None, *, changes: bool = False
    ) -> Element:
        """Return the result element of CloudWatch's answer."""
        return _result(await self._asked("cloudwatch", action, parameters, changes), action)

    async def sts(self, action: str, parameters: Mapping[str, Any] | None = None) -> Element:
        """Return the result element of the Security Token Service's answer."""
        return _result(await self._asked("sts", action, parameters, changes=False), action)

    async def owner_id(self) -> str:
        """Return the number of the account that is logged in."""

        async def asked() -> str:
            return text(await self.sts("GetCallerIdentity"), "Account") or ""

        return await self.backend.cached(("owner", *self.key), 3600.0, asked)

    @property
    def key(self) -> tuple[str, str]:
        """What tells this login at this region from others, for `backend.cached`."""
        return (self._source.id, self.region)

    def fresh(self, id: str) -> None:
        """Remember that a thing was made just now, which parts of the cloud may not know yet."""
        self.backend.fresh.add(id)

    async def settled(
        self, call: Callable[[], Awaitable[T]], codes: AnySet[str], ids: Iterable[str] = ()
    ) -> T:
        """Return what `call` returns, called again while it does not know a fresh id.

        `codes` are the errors that mean this: {"InvalidInstanceID.NotFound"}. `ids` are those that
        it asks for; without them, those that the error names count. Gives up after 20 s, with the
        error. Only for calls that did nothing when they fail so.
        """
        return await settled(call, codes, lambda error: self._is_fresh(error, tuple(ids)))

    def _is_fresh(self, error: AwsError, ids: tuple[str, ...]) -> bool:
        fresh = self.backend.fresh
        return any(id in fresh for id in ids) if ids else fresh.any_in(error.message)

    async def _asked(
        self, name: str, action: str, parameters: Mapping[str, Any] | None, changes: bool
    ) -> Element:
        take = partial(read, changes=changes)
        return await self._call(name, action, parameters, take, changes=changes)

    async def _call(
        self,
        name: str,
        action: str,
        parameters: Mapping[str, Any] | None,
        take: Callable[[Answer], T],
        *,
        changes: bool,
    ) -> T:
        url = f"{self.endpoints.url(name)}/"
        pairs = [("Action", action), ("Version", self.endpoints.versions[name])]
        pairs += flatten(parameters or {}, member=name != "ec2")
        body = encoded(pairs)
        digest = hashlib.sha256(body).hexdigest()
        scope = Scope(self.region, SERVICES[name].scope)

        async def once(keys: Keys) -> T:
            headers = signed("POST", url, FORM, digest, keys, scope, self.backend.now(url))
            request = Request("POST", url, headers, body)
            async with self.paced(name, family):
                return take(await sent(self.http, request, changes=changes))

        family = family_of(action)
        keys = await self.keys()
        try:
            return await once(keys)
        except AwsError as error:
            fresh = await self.mended(error, keys, url)
            if fresh is None:
                if is_refused_login(error) and await is_closed(self):
                    raise Forbidden(f"the account has not asked for {self.region}") from error
                raise
        return await once(fresh)

    @asynccontextmanager
    async def paced(self, service: str, family: str) -> AsyncIterator[None]:
        """Wait until AWS still takes calls of this family (`calls.FIRST_PER_S`), and make one.

        An AwsError of throttling closes the budget of this login, region, service and family.
        Raises Throttled, before any traffic, when too many others wait.
        """
        key = (*self.key, service, family)
        budgets = self.backend.budgets
        try:
            await budgets.leave(key)
        except OverBudget as error:
            raise Throttled(str(error), error.retry_after_s) from error
        left_at = budgets.now()
        try:
            yield
        except AwsError as error:
            if is_throttled(error):
                budgets.throttled(key, left_at, FIRST_PER_S[family], error.retry_after_s)
            raise

    async def mended(self, error: AwsError, keys: Keys, url: str) -> Keys | None:
        """Return keys with which the same call may go well now; None when there are none.

        Only of errors after which nothing was done.
        """
        if error.code in SKEWED and self.backend.set_clock(url, error.server_time):
            return keys
        if is_refused_login(error) and self._source.refuse(keys):
            fresh = await self.keys()
            return fresh if fresh != keys else None
        return None


def _result(root: Element, action: str) -> Element:
    found = root.find(f"{action}Result")
    return root if found is None else found


@asynccontextmanager
async def open_session(backend: Backend, account: Account) -> AsyncIterator[Session]:
    """Log in at the region that the provider names. Raises Invalid for what is none."""
    backend = backend.reaching(account.reach)
    endpoints = endpoints_of(
        account.provider, backend.settings, backend.environment, backend.profiles
    )
    yield Session(backend, endpoints, source_of(account.credentials, backend))


def narrow(session: Session) -> frozenset[str]:
    """Return the collections whose service has an endpoint: a private cloud may lack some."""
    return frozenset(
        interface.name
        for interface in INTERFACES
        if SERVICE_OF.get(interface.name, "ec2") in session.endpoints.urls
    )


class OfSession(Collection):
    """What all collections here share: their session."""

    def __init__(self, session: Session) -> None:
        self.session = session
