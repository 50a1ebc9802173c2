"""What AWS documents and moto does not do, in front of moto.

Repeated creates by ClientToken, new ids that are not found yet, pages that are shorter than asked,
and the refusal of parameters that an operation does not have or of values out of range.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from lxml import etree
from tests.targets.exchange import Asked, Handler, Reply, forwarding
from tests.targets.proxy import Proxy, error_reply, proxied
from tests.targets.service_models import has_pages, missing_parameters, unknown_parameters

# What MaxResults may be. Source: the reference page of each operation, "MaxResults".
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Operations.html
MAX_RESULTS = {
    "DescribeInstances": (5, 1000),
    "DescribeInstanceTypes": (5, 100),
    "DescribeInstanceTypeOfferings": (5, 1000),
    "DescribeVolumes": (5, 1000),
    "DescribeVpcs": (5, 1000),
    "DescribeSubnets": (5, 1000),
    "DescribeSecurityGroups": (5, 1000),
    "DescribeSecurityGroupRules": (5, 1000),
    "DescribeNetworkInterfaces": (5, 1000),
    "DescribeInternetGateways": (5, 1000),
    "DescribeRouteTables": (5, 100),
}

# The parameters that ask for things by their ids or names.
OF_ONE = re.compile(r"[A-Za-z]+(Id|Name)\.[0-9]+")

# The kind of id that a create makes, and the code of "there is none" for it. Source:
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
CREATES = {
    "RunInstances": ("i", "InvalidInstanceID.NotFound"),
    "CreateVolume": ("vol", "InvalidVolume.NotFound"),
    "CreateSnapshot": ("snap", "InvalidSnapshot.NotFound"),
    "CreateImage": ("ami", "InvalidAMIID.NotFound"),
    "RegisterImage": ("ami", "InvalidAMIID.NotFound"),
    "CopyImage": ("ami", "InvalidAMIID.NotFound"),
    "CreateVpc": ("vpc", "InvalidVpcID.NotFound"),
    "CreateSubnet": ("subnet", "InvalidSubnetID.NotFound"),
    "CreateSecurityGroup": ("sg", "InvalidGroup.NotFound"),
    "CreateNetworkInterface": ("eni", "InvalidNetworkInterfaceID.NotFound"),
}


@dataclass
class Aws:
    """A handler in front of another one, as near to AWS as its settings say.

    New things are unknown to the first `late` requests that name them, and missing from the first
    `late_lists` lists after. `page_size` shortens pages; `empty_pages` puts an empty page with a
    token before each. `created` holds every id that was made.
    """

    carry_out: Handler
    late: int = 0
    late_lists: int = 0
    page_size: int | None = None
    empty_pages: bool = False
    created: list[str] = field(default_factory=list)
    _answers: dict[tuple[str, str], tuple[dict[str, str], Reply]] = field(default_factory=dict)
    _locks: defaultdict[tuple[str, str], asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
    _unknown: dict[str, int] = field(default_factory=dict)
    _unlisted: dict[str, int] = field(default_factory=dict)

    async def __call__(self, asked: Asked) -> Reply:
        form = asked.form
        if "Action" not in form:
            return await self.carry_out(asked)
        return self._refusal(asked) or self._not_found(asked) or await self._by_token(asked)

    def _refusal(self, asked: Asked) -> Reply | None:
        form = asked.form
        if unknown := unknown_parameters(form):
            message = f"The parameter {unknown[0]} is not recognized"
            return error_reply(asked, 400, "UnknownParameter", message)
        if missing := missing_parameters(form):
            message = f"The request must contain the parameter {missing[0]}"
            return error_reply(asked, 400, "MissingParameter", message)
        least, most = MAX_RESULTS.get(asked.action, (1, 1000))
        wanted = form.get("MaxResults")
        if wanted is not None and not least <= int(wanted) <= most:
            message = f"Value ({wanted}) for parameter maxResults is not from {least} to {most}"
            return error_reply(asked, 400, "InvalidParameterValue", message)
        return None

    def _not_found(self, asked: Asked) -> Reply | None:
        """Return the answer to a request that names an id which is not known everywhere yet."""
        named = set(asked.form.values())
        for id in named & self._unknown.keys():
            if self._unknown[id] > 0:
                self._unknown[id] -= 1
                codes = dict(CREATES.values())
                code = codes[id.split("-")[0]]
                return error_reply(asked, 400, code, f"The ID '{id}' does not exist")
        return None

    async def _by_token(self, asked: Asked) -> Reply:
        token = asked.form.get("ClientToken")
        if token is None:
            return await self._carried_out(asked)
        key = (asked.action, token)
        async with self._locks[key]:
            if key in self._answers:
                form, reply = self._answers[key]
                if form != asked.form:
                    message = "The parameters differ from those of the first request"
                    return error_reply(asked, 400, "IdempotentParameterMismatch", message)
                return reply
            reply = await self._carried_out(asked)
            if reply.status == 200:
                self._answers[key] = (asked.form, reply)
            return reply

    async def _carried_out(self, asked: Asked) -> Reply:
        if asked.action in CREATES:
            reply = await self.carry_out(asked)
            self._remember(asked.action, reply)
            return reply
        if asked.action.startswith("Describe"):
            return await self._listed(asked)
        return await self.carry_out(asked)

    def _remember(self, action: str, reply: Reply) -> None:
        kind = CREATES[action][0]
        pattern = rb">(" + kind.encode() + rb"-[0-9a-f]{8,17})<"
        for found in re.findall(pattern, reply.body)[:100] if reply.status == 200 else ():
            id = found.decode()
            if id not in self.created:
                self.created.append(id)
                self._unknown[id] = self.late
                self._unlisted[id] = self.late_lists

    async def _listed(self, asked: Asked) -> Reply:
        form = asked.form
        if any(OF_ONE.fullmatch(name) for name in form):
            return await self.carry_out(asked)  # what is asked for by its id comes whole
        token = form.pop("NextToken", "") if self.page_size else ""
        if self.page_size:
            # The whole list is cut here, since moto has pages for few lists.
            form.pop("MaxResults", None)
            asked = asked.with_form(form)
        reply = await self.carry_out(asked)
        if reply.status != 200 or asked.form.get("Version") != "2016-11-15":
            return reply
        return replace(reply, body=self._page(reply.body, token, has_pages(asked.form)))

    def _page(self, body: bytes, token: str, has_pages: bool) -> bytes:
        """Return a list without what is not listed yet, or the part of it that begins at a token.

        A token is the position of the next item, with `e` before it once the empty page was given.
        """
        root = etree.fromstring(body)
        sets = [child for child in root if etree.QName(child).localname.endswith(("Set", "Info"))]
        if not sets:
            return body
        items = list(sets[0])
        for item in items:
            texts = {str(text) for text in item.itertext()}
            for id in (id for id in texts & self._unlisted.keys() if self._unlisted[id] > 0):
                self._unlisted[id] -= 1
                sets[0].remove(item)
                break
        if self.page_size and has_pages:
            self._cut(root, sets[0], token)
        return etree.tostring(root)

    def _cut(self, root: etree._Element, items: etree._Element, token: str) -> None:
        assert self.page_size is not None
        first = int(token.removeprefix("e") or 0)
        is_empty = self.empty_pages and not token.startswith("e")
        last = first if is_empty else first + self.page_size
        total = len(items)
        for index, item in enumerate(list(items)):
            if not first <= index < last:
                items.remove(item)
        if is_empty or last < total:
            following = etree.SubElement(root, f"{{{etree.QName(root).namespace}}}nextToken")
            following.text = f"e{last}" if is_empty else str(last)


@dataclass(frozen=True)
class Way:
    """The way to moto: a driver calls `url`, the proxy spoils, what AWS documents stands last."""

    url: str
    proxy: Proxy
    aws: Aws


@asynccontextmanager
async def way_to(moto: str) -> AsyncIterator[Way]:
    """Put AWS's documented behaviour and a proxy in front of a moto server."""
    async with forwarding(moto) as carry_out:
        aws = Aws(carry_out)
        async with proxied(aws) as (url, proxy):
            yield Way(url, proxy, aws)
