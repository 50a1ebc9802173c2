"""Temporary URLs, by which anybody may read a blob."""

import hmac
import secrets
import time
from urllib.parse import unquote, urlsplit

from nimbi.drivers.openstack.objects.client import SERVICE, Call, ObjectClient
from nimbi.drivers.openstack.objects.names import in_path, known_bucket, known_key
from nimbi.model.errors import Forbidden, Invalid, Unsupported

LONGEST_LINK_S = 7 * 24 * 3600

# Segments of a blob are in another container, which a key of its container would not open.
KEYS = ("X-Account-Meta-Temp-URL-Key", "X-Account-Meta-Temp-URL-Key-2")
KEY_AGE_S = 60.0
DIGESTS = ("sha256", "sha512", "sha1")


async def link(client: ObjectClient, bucket: str, key: str, seconds: int) -> str:
    """Return the URL of a blob that is good for so long.

    Source: https://docs.openstack.org/swift/latest/api/temporary_url_middleware.html
    """
    if not 1 <= seconds <= LONGEST_LINK_S:
        raise Invalid(f"a link is good for 1 to {LONGEST_LINK_S} seconds, not {seconds}")
    path = in_path(known_bucket(bucket), known_key(key))
    allowed = (await client.limits()).digests
    digest = next((name for name in DIGESTS if name in allowed), None)
    if digest is None:
        raise Unsupported("this store has no temporary URLs", "blobs.link")
    base = await client.session.url(SERVICE)
    expires = int(time.time()) + seconds
    signed = f"GET\n{expires}\n{unquote(urlsplit(base).path + path)}".encode()
    found = hmac.new((await _key(client)).encode(), signed, digest).hexdigest()
    return f"{base}{path}?temp_url_sig={found}&temp_url_expires={expires}"


async def _key(client: ObjectClient) -> str:
    """Return the key that the account's links are signed with; it is made when there is none."""
    told = client.session.settings.temp_url_key
    if told is not None:
        return told

    async def found() -> str:
        return await _looked_up(client) or await _made(client)

    session = client.session
    return await session.backend.cached(("temp-url-key", *session.key), KEY_AGE_S, found)


async def _looked_up(client: ObjectClient) -> str | None:
    headers = (await client.send(Call("HEAD", "the account"))).headers
    return next((headers[name] for name in KEYS if headers.get(name)), None)


async def _made(client: ObjectClient) -> str:
    key = secrets.token_hex(32)
    await client.send(Call("POST", "the account", headers={KEYS[0]: key}, changes=True))
    # Somebody else may have made one at the same moment: what stays is what counts.
    found = await _looked_up(client)
    if found is None:
        raise Forbidden("this login may not see the key that links are signed with")
    return found
