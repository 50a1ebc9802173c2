"""Many blobs destroyed by one request, as far as its XML can name them."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable
from xml.sax.saxutils import escape

from nimbi.drivers.ec2.objects.client import Call, ObjectClient
from nimbi.drivers.ec2.objects.errors import CODES, late_fault
from nimbi.drivers.ec2.objects.names import known_bucket, known_key
from nimbi.model.buckets import BlobFailure
from nimbi.model.errors import CloudError, NotFound, Unsupported

# Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
MOST_KEYS = 1000

# What no document of XML 1.0 can hold, or what a parser makes something else of.
_NOT_IN_XML = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


async def remove(client: ObjectClient, bucket: str, keys: Iterable[str]) -> tuple[BlobFailure, ...]:
    """Return the blobs that could not be destroyed. Raises NotFound for an unknown bucket."""
    what = f"blobs of the bucket {known_bucket(bucket)!r}"
    doomed = [key for key in dict.fromkeys(keys) if _can_be(key)]
    named = [key for key in doomed if _NOT_IN_XML.search(key) is None]
    alone = [key for key in doomed if key not in set(named)]
    failures: list[BlobFailure] = []
    for at in range(0, len(named), MOST_KEYS):
        block = named[at : at + MOST_KEYS]
        try:
            failures += await _removed(client, what, bucket, block)
        except Unsupported:
            # Not every store has this request.
            alone += block
    if alone or not named:
        await client.send(Call("HEAD", f"the bucket {bucket!r}", bucket))
    failures += [failure for key in alone if (failure := await _one(client, bucket, key))]
    return tuple(failures)


async def _removed(
    client: ObjectClient, what: str, bucket: str, keys: list[str]
) -> list[BlobFailure]:
    names = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    body = (
        '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Quiet>true</Quiet>{names}</Delete>"
    ).encode()
    digest = b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    call = Call(
        "POST",
        what,
        bucket,
        query=(("delete", ""),),
        headers={"Content-Type": "application/xml", "Content-MD5": digest},
        body=body,
        changes=True,
    )
    answer = await client.send(call)
    root, fault = late_fault(answer.headers, answer.body)
    if fault is not None:
        raise fault.error(what, changes=True)
    found = []
    for error in root.iterfind("Error"):
        told = {name: error.findtext(name) or "" for name in ("Key", "Code", "Message")}
        kind = CODES.get(told["Code"], CloudError)
        if kind is not NotFound:
            reason = f"{told['Message'] or 'it stays'} ({told['Code']})"
            found.append(BlobFailure(id=told["Key"], code=kind.code, reason=reason))
    return found


async def _one(client: ObjectClient, bucket: str, key: str) -> BlobFailure | None:
    try:
        await client.send(Call("DELETE", f"the blob {key[:80]!r}", bucket, key, changes=True))
    except NotFound:
        return None
    except CloudError as error:
        return BlobFailure(id=key, code=error.code, reason=error.message)
    return None


def _can_be(key: str) -> bool:
    try:
        return bool(known_key(key))
    except NotFound:
        return False
