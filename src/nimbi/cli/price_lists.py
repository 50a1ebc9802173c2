"""Price lists that clouds publish: read line by line, from a file or from where they are."""

import http.client
import io
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO
from urllib.parse import urlsplit

import msgspec

from nimbi.broker.metering.ec2_offers import PLACE, Offers
from nimbi.cli.command import Desk
from nimbi.cli.remote import segment
from nimbi.model.errors import CloudUnavailable, Invalid, NotFound, Unsupported

# The drivers of clouds that publish their prices.
EC2 = "ec2"
# Prices of one request.
BATCH = 1000
SILENT_S = 60.0
# Far more than a price has.
LONGEST_LINE = 1 << 20


def place_of(desk: Desk, account: str, region: str | None) -> tuple[str, str]:
    """Return the region of an account, unless one is told, and where its prices are published.

    Raises Unsupported for a cloud that publishes none, Invalid for an account of no one region.
    """
    found = desk.remote.ask("GET", f"/v1/accounts/{segment(account)}").value
    if found["driver"] != EC2:
        raise Unsupported(f"the clouds of {found['driver']!r} publish no prices: nimbi prices set")
    region = region or found["provider"]
    if region is None:
        raise Invalid(f"the account {account!r} names no region: --region")
    return region, PLACE.format(segment(region))


@contextmanager
def published(url: str) -> Iterator[Iterator[str]]:
    """Give the lines of what is at a URL, as they come.

    Raises Invalid for a URL that is none or has a password, NotFound, CloudUnavailable.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        raise Invalid("a price list is at an https://… without a password in it")
    try:
        answer = urllib.request.urlopen(url, timeout=SILENT_S)  # noqa: S310  it is one of these two
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in {403, 404}:
            raise NotFound(f"there is no price list at {url}") from None
        raise CloudUnavailable(f"{url} answers {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CloudUnavailable(f"{url} can't be fetched: {error}") from None
    if is_weaker(url, answer.url):
        answer.close()
        raise Invalid(f"{url} leads to {answer.url}, which is not encrypted")
    with answer, io.TextIOWrapper(answer, encoding="utf-8-sig", newline="") as text:
        yield _lines(text, url)


def is_weaker(asked: str, come_to: str) -> bool:
    """Return whether redirects have led from an encrypted place to one that is not."""
    return urlsplit(asked).scheme == "https" != urlsplit(come_to).scheme


def send(
    desk: Desk, lines: Iterable[str], *, account: str, region: str | None, origin: str
) -> dict[str, int]:
    """Send the prices of an offer file to the server; return how many were new, and known.

    It may have gigabytes, and is nowhere as a whole. Raises Invalid for one without prices.
    """
    total = {"added": 0, "unchanged": 0}
    offers = Offers(lines, account=account, region=region)
    found = offers.prices()
    while batch := list(islice(found, BATCH)):
        body = {
            "prices": msgspec.to_builtins(batch),
            "source": EC2,
            "origin": origin,
            "published_at": offers.published_at and offers.published_at.isoformat(),
        }
        for price in body["prices"]:
            price.pop("token", None)
        made = desk.remote.ask("POST", "/v1/prices", body=body).value
        total = {name: count + made[name] for name, count in total.items()}
    if not sum(total.values()):
        raise Invalid(f"{origin} has no price of an instance or volume on demand")
    return total


def _lines(text: IO[str], url: str) -> Iterator[str]:
    try:
        while line := text.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise Invalid(f"{url} has a line that is too long for a price")
            yield line
    except (OSError, http.client.HTTPException) as error:
        raise CloudUnavailable(f"{url} was cut off: {error}") from None
    except UnicodeDecodeError:
        raise Invalid(f"{url} is no text in UTF-8") from None
