"""What a server tells as it happens: events, and entries of the audit."""

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from nimbi.cli.command import Desk
from nimbi.model.errors import CloudUnavailable, Timeout, UnknownOutcome

# A server says at least this often that there is nothing new.
SILENCE_S = 45.0
AGAIN_S = 2.0


def followed(
    desk: Desk, path: str, query: list[tuple[str, str]], after: int | None, *, number: str
) -> Iterator[Any]:
    """Yield what a server tells, for ever, and nothing twice when a connection breaks.

    `after` is the `number` of the last one that is known, None to begin with what comes now.
    """
    while True:
        headers = {"Accept": "text/event-stream"}
        since = [("after", str(after))] if after is not None else []
        try:
            answer = desk.remote.stream(
                "GET", path, [*query, *since], headers=headers, timeout_s=SILENCE_S
            )
            for told in read_events(answer.chunks()):
                after = told[number]
                yield told
        except (CloudUnavailable, Timeout, UnknownOutcome) as error:
            if after is None:
                raise
            click.echo(f"{error}; trying again", err=True)
        time.sleep(AGAIN_S)


def read_events(chunks: Iterator[bytes]) -> Iterator[Any]:
    """Yield the JSON of server-sent events, of which comments and retries are left out."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n\n")
        for block in whole:
            data = [line[6:] for line in block.split(b"\n") if line.startswith(b"data: ")]
            if data:
                yield json.loads(b"\n".join(data))
