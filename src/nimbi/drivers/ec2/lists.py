"""Whole lists, where a part of one would be wrong: what belongs to a thing that is looked at."""

from collections.abc import Iterable, Mapping
from typing import Any

from nimbi.drivers.ec2.pages import LARGEST
from nimbi.drivers.ec2.query import filters, items, text
from nimbi.drivers.ec2.session import Element, Session

# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html
MOST_VALUES = 200


async def whole(
    session: Session, action: str, path: str, parameters: Mapping[str, Any]
) -> list[Element]:
    """Return all elements of a list, however many pages it has."""
    found: list[Element] = []
    token: str | None = None
    while True:
        asked = {**parameters, "MaxResults": LARGEST, "NextToken": token}
        answer = await session.ec2(action, asked)
        found += items(answer, path)
        token = text(answer, "nextToken")
        if token is None:
            return found


async def matching(
    session: Session, action: str, path: str, name: str, values: Iterable[str]
) -> list[Element]:
    """Return all elements for which a filter has one of the values, of which there may be many."""
    found: list[Element] = []
    distinct = list(dict.fromkeys(values))
    for start in range(0, len(distinct), MOST_VALUES):
        wanted = filters({name: distinct[start : start + MOST_VALUES]})
        found += await whole(session, action, path, {"Filter": wanted})
    return found
