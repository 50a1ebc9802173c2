"""Buckets, each under its own name as its id."""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import ClassVar
from xml.sax.saxutils import escape

from nimbi.driver.blobs import Buckets
from nimbi.drivers.ec2.objects.client import Call, ObjectClient
from nimbi.drivers.ec2.objects.errors import Fault
from nimbi.drivers.ec2.objects.facts import moment
from nimbi.drivers.ec2.objects.listing import root_of, sealed, unsealed
from nimbi.drivers.ec2.objects.names import known_bucket, new_bucket
from nimbi.drivers.ec2.objects.sessions import HasObjects
from nimbi.model.buckets import Bucket, NewBucket
from nimbi.model.errors import Conflict, Forbidden, Invalid, NotFound
from nimbi.model.page import Page
from nimbi.wire.xml_read import Element

# The one region that is told by telling none.
FIRST_REGION = "us-east-1"
REMEMBERED = 1000

_BODY = (
    '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>"
)
# What old buckets tell as their location, and what a bucket of the first region tells.
_OLD = {"EU": "eu-west-1", "": FIRST_REGION}


class S3Buckets(Buckets):
    """Buckets of all regions. Their location is their region."""

    features: ClassVar[frozenset[str]] = frozenset({"bucket_location"})

    def __init__(self, session: HasObjects) -> None:
        self.client: ObjectClient = session.objects
        # Tokens of creates that were asked for; S3 itself knows none.
        self._asked: OrderedDict[str, str] = OrderedDict()
        self._creating = asyncio.Lock()

    async def page(self, marker: str | None, limit: int) -> Page[Bucket]:
        token = None if marker is None else unsealed(marker, "buckets")
        # Other stores know no pages here: they tell all, or cut the list and do not say so.
        query = [("max-buckets", str(limit))] if self.client.site.is_aws else []
        if token and token.startswith("token:"):
            query.append(("continuation-token", token.removeprefix("token:")))
        what = "the list of buckets"
        answer = await self.client.send(Call("GET", what, query=tuple(query)))
        root = root_of(answer, "ListAllMyBucketsResult", what)
        found = sorted(map(_told, root.iterfind("Buckets/Bucket")), key=lambda bucket: bucket.id)
        if token and token.startswith("after:"):
            found = [bucket for bucket in found if bucket.id > token.removeprefix("after:")]
        next = root.findtext("ContinuationToken")
        if next:
            return Page(tuple(found), sealed(f"token:{next}", "buckets"))
        more = sealed(f"after:{found[limit - 1].id}", "buckets") if len(found) > limit else None
        return Page(tuple(found[:limit]), more)

    async def get(self, id: str) -> Bucket:
        what = f"the bucket {id[:80]!r}"
        answer = await self.client.send(Call("HEAD", what, known_bucket(id)))
        told = Fault(answer.status, answer.headers, b"").region
        if told:
            self.client.keep_region(id, told)
        return Bucket(id=id, name=id, location=told or await self._location(id))

    async def create(self, new: NewBucket) -> Bucket:
        name = new_bucket(new.name)
        region = new.location or self.client.site.region
        async with self._creating:
            is_again = new.token is not None and self._asked.get(new.token) == name
            if await self._exists(name):
                if is_again:
                    return await self.get(name)
                raise Conflict(f"there is a bucket {name!r} already")
            if new.token is not None:
                self._asked[new.token] = name
                while len(self._asked) > REMEMBERED:
                    self._asked.popitem(last=False)
            await self._make(name, region, new.location)
        self.client.keep_region(name, region)
        return Bucket(id=name, name=name, location=region)

    async def destroy(self, id: str) -> None:
        call = Call("DELETE", f"the bucket {id[:80]!r}", known_bucket(id), changes=True)
        await self.client.send(call)

    async def _make(self, name: str, region: str, asked: str | None) -> None:
        # Only AWS's regions are known to be places; another store is told what was asked for.
        place = asked or (region if self.client.site.is_aws else "")
        try:
            await self._put(name, region, place)
        except Invalid:
            # What stands in for AWS may want to be told its own region, as AWS does.
            if place or region in {"", FIRST_REGION}:
                raise
            await self._put(name, region, region)

    async def _put(self, name: str, region: str, place: str) -> None:
        is_told = place not in {"", FIRST_REGION}
        call = Call(
            "PUT",
            f"the bucket {name!r}",
            name,
            body=_BODY.format(escape(place)).encode() if is_told else b"",
            changes=True,
            region=region if self.client.site.is_aws else None,
        )
        try:
            await self.client.send(call)
        except NotFound as error:
            raise Invalid(error.message) from error

    async def _exists(self, name: str) -> bool:
        try:
            await self.client.send(Call("HEAD", f"the bucket {name!r}", name))
        except NotFound:
            return False
        except Forbidden:
            pass
        return True

    async def _location(self, id: str) -> str | None:
        what = f"the bucket {id!r}"
        answer = None
        with suppress(Forbidden):
            answer = await self.client.send(Call("GET", what, id, query=(("location", ""),)))
        if answer is None:
            return None
        text = root_of(answer, "LocationConstraint", what).text or ""
        return _OLD.get(text, text)


def _told(entry: Element) -> Bucket:
    name = entry.findtext("Name") or ""
    return Bucket(
        id=name,
        name=name,
        location=entry.findtext("BucketRegion"),
        created_at=moment(entry.findtext("CreationDate")),
    )
