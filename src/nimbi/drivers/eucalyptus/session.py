"""Login to a Eucalyptus cloud, and what of AWS's API it does not take."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, TypeVar

from lxml.etree import SubElement

from nimbi.driver.interface import Account
from nimbi.drivers.ec2.backend import Backend
from nimbi.drivers.ec2.endpoints import SERVICES, Endpoints
from nimbi.drivers.ec2.login import source_of
from nimbi.drivers.ec2.objects.client import ObjectClient
from nimbi.drivers.ec2.objects.sessions import objects_of
from nimbi.drivers.ec2.query import text
from nimbi.drivers.ec2.session import Element
from nimbi.drivers.ec2.session import Session as AwsSession
from nimbi.drivers.eucalyptus.places import FORM, check_allowed, urls_of
from nimbi.drivers.eucalyptus.settings import Settings
from nimbi.model.errors import Invalid

T = TypeVar("T")

# What signatures name; a cloud takes any.
REGION = "eucalyptus"

# Parameters of AWS that are younger than Eucalyptus, which refuses a request with any of them. They
# say what it does anyway, or how long a list's pages are: it gives each list as a whole.
YOUNGER = frozenset(
    {
        "AllAvailabilityZones",
        "AllowReassociation",
        "DeleteAssociatedSnapshots",
        "Domain",
        "EnaSupport",
        "IncludeDeprecated",
        "IncludeDisabled",
        "IncludePublicKey",
        "KeyFormat",
        "KeyType",
        "Latest",
        "MaxResults",
        "MetadataOptions",
        "NextToken",
    }
)
TAGS = "TagSpecification"
# What a new thing that can have tags is known by in the answer that tells of it.
MADE = {
    "CreateImage": "imageId",
    "CreateSecurityGroup": "groupId",
    "CreateSnapshot": "snapshotId",
    "CreateVolume": "volumeId",
    "RegisterImage": "imageId",
    "RunInstances": "instancesSet/item/instanceId",
}


class Session(AwsSession):
    """One login to one cloud."""

    @cached_property
    def objects(self) -> ObjectClient:
        """The way to call Walrus: it finds buckets in paths, and knows no conditions of writes."""
        return objects_of(self, path_style=True, has_conditions=False)

    async def ec2(
        self, action: str, parameters: Mapping[str, Any] | None = None, *, changes: bool = False
    ) -> Element:
        """Return the root of the answer; tags of what is made are set by a call of their own."""
        asked = _understood(parameters or {})
        tags = asked.pop(TAGS, None)
        if action != "RunInstances":
            asked.pop("ClientToken", None)
        answer = await super().ec2(action, asked, changes=changes)
        if tags and action in MADE:
            made = [found for found in answer.iterfind(f".//{MADE[action]}") if found.text]
            wish = {"ResourceId": [found.text for found in made], "Tag": tags[0]["Tag"]}
            await super().ec2("CreateTags", wish, changes=True)
            for found in made:
                _tell(found.getparent(), tags[0]["Tag"])
        return answer

    async def ec2_known(
        self,
        action: str,
        parameters: Mapping[str, Any],
        understand: Callable[[Element, bytes], T],
    ) -> T:
        """Do the same as in AWS, with what this cloud understands."""
        return await super().ec2_known(action, _understood(parameters), understand)

    async def owner_id(self) -> str:
        """Return the account's number, which is that of whoever owns its firewalls."""

        async def asked() -> str:
            answer = await self.ec2("DescribeSecurityGroups")
            return text(answer, "securityGroupInfo/item/ownerId") or ""

        return await self.backend.cached(("owner", *self.key), 3600.0, asked)

    @property
    def key(self) -> tuple[str, str]:
        """What tells this login at this cloud from others."""
        login, _ = super().key
        return (login, self._place)

    @property
    def _place(self) -> str:
        return ";".join(self.endpoints.urls[name] for name in sorted(self.endpoints.urls))


def _understood(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in YOUNGER}


def _tell(thing: Element | None, tags: Iterable[Mapping[str, str]]) -> None:
    """Write tags into an answer that is older than they are."""
    if thing is None:
        return
    for old in thing.findall("tagSet"):
        thing.remove(old)
    tag_set = SubElement(thing, "tagSet")
    for tag in tags:
        item = SubElement(tag_set, "item")
        SubElement(item, "key").text = tag["Key"]
        SubElement(item, "value").text = tag["Value"]


@asynccontextmanager
async def open_session(backend: Backend, account: Account) -> AsyncIterator[Session]:
    """Log in to the cloud that the provider, or else the settings, name. Raises Invalid."""
    backend = backend.reaching(account.reach)
    settings = backend.settings
    own = settings.provider if isinstance(settings, Settings) else None
    provider = account.provider or own
    if provider is None:
        raise Invalid(f"eucalyptus needs a provider: {FORM}")
    urls = urls_of(provider)
    if isinstance(settings, Settings) and provider != own:
        for url in urls.values():
            check_allowed(url, settings.allowed_hosts)
    versions = {name: service.version for name, service in SERVICES.items()}
    if isinstance(settings, Settings):
        versions["ec2"] = settings.api_version
    endpoints = Endpoints(settings.region or REGION, "aws", urls, frozenset(urls), versions)
    yield Session(backend, endpoints, source_of(account.credentials, backend))
