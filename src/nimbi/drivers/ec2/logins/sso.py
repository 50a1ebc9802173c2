"""Keys of the identity centre, by the login that `aws sso login` left in a file."""

import os
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from nimbi.drivers.ec2.logins.ground import Ground
from nimbi.drivers.ec2.logins.lease import Lease
from nimbi.drivers.ec2.profiles import Section
from nimbi.model.errors import Unauthorized
from nimbi.wire.http import Request
from nimbi.wire.sigv4 import Keys

# Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html
CACHE = "~/.aws/sso/cache"
SOON = timedelta(minutes=5)
WHAT = "AWS's identity centre"
AGAIN = "the login to AWS's identity centre is over: run `aws sso login`"


class _Login(msgspec.Struct, rename="camel", omit_defaults=True):
    access_token: str
    expires_at: str
    refresh_token: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    registration_expires_at: str | None = None
    region: str | None = None
    start_url: str | None = None

    def __repr__(self) -> str:
        return "_Login(…)"


class _Renewed(msgspec.Struct, rename="camel"):
    access_token: str
    expires_in: int
    refresh_token: str | None = None


class _RoleKeys(msgspec.Struct, rename="camel"):
    access_key_id: str
    secret_access_key: str
    session_token: str
    # Milliseconds since 1970.
    expiration: int


class _Answer(msgspec.Struct, rename="camel"):
    role_credentials: _RoleKeys


async def from_sso(ground: Ground, section: Section) -> Lease | None:
    """Return the keys of a role in an account; None when the profile names none.

    Raises Unauthorized when somebody has to log in again.
    """
    account, role = section.get("sso_account_id"), section.get("sso_role_name")
    if not account or not role:
        return None
    session = section.get("sso_session")
    told = ground.profiles.sso_sessions.get(session, {}) if session else section
    region, url = told.get("sso_region"), told.get("sso_start_url")
    if not region or not url:
        raise Unauthorized("the AWS profile's login by identity centre lacks its region or URL")
    login = await _login(ground, session or url, region, can_renew=session is not None)
    query = urlencode({"role_name": role, "account_id": account})
    target = f"{ground.endpoints(region).url('sso')}/federation/credentials?{query}"
    request = Request("GET", target, {"x-amz-sso_bearer_token": login.access_token})
    answer = await ground.fetched(request, WHAT)
    try:
        keys = msgspec.json.decode(answer.body, type=_Answer).role_credentials
    except msgspec.MsgspecError:
        raise Unauthorized(f"{WHAT} gave no keys") from None
    expires_at = datetime.fromtimestamp(keys.expiration / 1000, UTC)
    return Lease(Keys(keys.access_key_id, keys.secret_access_key, keys.session_token), expires_at)


async def _login(ground: Ground, name: str, region: str, *, can_renew: bool) -> _Login:
    digest = sha1(name.encode(), usedforsecurity=False).hexdigest()
    file = Path(CACHE).expanduser() / f"{digest}.json"  # noqa: ASYNC240  one small file
    try:
        text = file.read_bytes()
        login = msgspec.json.decode(text, type=_Login)
        left = datetime.fromisoformat(login.expires_at) - datetime.now(UTC)
    except (OSError, msgspec.MsgspecError, ValueError, TypeError):
        raise Unauthorized(AGAIN) from None
    if left > SOON:
        return login
    if can_renew and login.refresh_token and login.client_id and login.client_secret:
        return await _renewed(ground, login, region, file, text)
    if left > timedelta():
        return login
    raise Unauthorized(AGAIN)


async def _renewed(ground: Ground, old: _Login, region: str, file: Path, text: bytes) -> _Login:
    wish = {
        "clientId": old.client_id,
        "clientSecret": old.client_secret,
        "grantType": "refresh_token",
        "refreshToken": old.refresh_token,
    }
    url = f"{ground.endpoints(region).url('sso_oidc')}/token"
    body = msgspec.json.encode(wish)
    request = Request("POST", url, {"Content-Type": "application/json"}, body)
    answer = await ground.fetched(request, WHAT)
    try:
        new = msgspec.json.decode(answer.body, type=_Renewed)
    except msgspec.MsgspecError:
        raise Unauthorized(AGAIN) from None
    expires_at = datetime.now(UTC) + timedelta(seconds=new.expires_in)
    # A refresh token is good for once, so the new one is kept where AWS's own tools look for it.
    kept = msgspec.json.decode(text) | {
        "accessToken": new.access_token,
        "expiresAt": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "refreshToken": new.refresh_token or old.refresh_token,
    }
    _write(file, msgspec.json.encode(kept))
    return msgspec.convert(kept, _Login)


def _write(file: Path, text: bytes) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(text)
    part.replace(file)
