"""What the search for keys stands on: files, environment, connections, endpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from nimbi.drivers.ec2.calls import read, sent
from nimbi.drivers.ec2.endpoints import SERVICES, Endpoints, endpoints_of
from nimbi.drivers.ec2.errors import AwsError, kind_of
from nimbi.drivers.ec2.logins.lease import Lease
from nimbi.drivers.ec2.profiles import Profiles, Section
from nimbi.drivers.ec2.query import encoded, flatten
from nimbi.drivers.ec2.settings import Settings
from nimbi.model.errors import CloudUnavailable, Throttled, Unauthorized
from nimbi.wire.http import Answer, HttpClient, Request
from nimbi.wire.sigv4 import Keys, Scope, signed
from nimbi.wire.xml_read import Element

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Ground:
    """What a search for keys reads. `profile` is whose keys are looked for."""

    http: HttpClient
    settings: Settings
    environment: Mapping[str, str]
    profiles: Profiles

    def section(self, name: str) -> Section:
        """Return what the files say of a profile. Raises Unauthorized when there is no such one."""
        if not self.profiles.has(name):
            raise Unauthorized(f"AWS's files have no profile {name!r}")
        return self.profiles.profile(name)

    def endpoints(self, region: str | None = None) -> Endpoints:
        """Return where the services that give keys are, in the profile's region or another."""
        return endpoints_of(region, self.settings, self.environment, self.profiles)

    def of_profile(self, name: str) -> "Ground":
        """Return the same ground with another profile in use."""
        return replace(self, profiles=replace(self.profiles, given=name))

    async def sts(self, action: str, parameters: Mapping[str, Any], keys: Keys | None) -> Element:
        """Return the answer of STS. Raises Unauthorized when it refuses; None signs nothing."""
        endpoints = self.endpoints()
        url = f"{endpoints.url('sts')}/"
        pairs = [("Action", action), ("Version", endpoints.versions["sts"])]
        body = encoded(pairs + flatten(parameters, member=True))
        headers: Mapping[str, str] = FORM
        if keys is not None:
            scope = Scope(endpoints.region, SERVICES["sts"].scope)
            headers = signed("POST", url, FORM, sha256(body).hexdigest(), keys, scope)
        request = Request("POST", url, headers, body)
        try:
            return read(await sent(self.http, request, changes=False), changes=False)
        except AwsError as error:
            raise refused("AWS's Security Token Service", error.status, error.code) from error

    async def fetched(self, request: Request, what: str) -> Answer:
        """Return a good answer. Raises Unauthorized for another one, CloudUnavailable for none."""
        answer = await sent(self.http, request, changes=False)
        if answer.status != 200:
            raise refused(what, answer.status, "")
        return answer


def refused(what: str, status: int, code: str) -> CloudUnavailable | Throttled | Unauthorized:
    """Return the error of a service that gave no keys."""
    if status == 429 or kind_of(code) is Throttled:
        return Throttled(f"{what} is asked too often: {code or status}")
    if status >= 500:
        return CloudUnavailable(f"{what} failed: {code or status}")
    return Unauthorized(f"{what} gave no keys: {code or status}")


class Told(msgspec.Struct, frozen=True):
    """Keys as a program or a service of the machine tells them in JSON."""

    access_key_id: str = msgspec.field(name="AccessKeyId")
    secret_access_key: str = msgspec.field(name="SecretAccessKey")
    token: str | None = msgspec.field(name="Token", default=None)
    session_token: str | None = msgspec.field(name="SessionToken", default=None)
    expiration: str | None = msgspec.field(name="Expiration", default=None)

    def __repr__(self) -> str:
        return "Told(…)"


def told(text: bytes, what: str) -> Lease:
    """Return the keys in a JSON document. Raises Unauthorized when it has none."""
    try:
        found = msgspec.json.decode(text, type=Told)
    except msgspec.MsgspecError:
        # The parser's own words may quote a secret.
        raise Unauthorized(f"{what} gave no keys") from None
    keys = Keys(found.access_key_id, found.secret_access_key, found.session_token or found.token)
    return Lease(keys, time_of(found.expiration, what))


def time_of(text: str | None, what: str) -> datetime | None:
    """Return when keys expire; None when nobody tells. Raises Unauthorized for what is no time."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Unauthorized(f"{what} gave keys that expire at no time") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
