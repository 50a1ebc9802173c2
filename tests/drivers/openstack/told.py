"""The stand-in's answers by service: `GET volume /volumes/1`."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from tests.drivers.openstack.stand_in import (
    LOGIN,
    PROJECT,
    Answering,
    Asked,
    StandIn,
    fault,
    standing_in,
)

from nimbi.drivers.openstack import DRIVER
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud

ROOTS: Mapping[str, str] = {
    "compute": "/compute/v2.1",
    "image": "/image/v2",
    "volume": f"/volume/v3/{PROJECT}",
}


@dataclass(frozen=True)
class Refusal:
    """An error that a service answers: `Refusal(404, "itemNotFound")`."""

    status: int
    code: str = "fault"
    message: str = "Told by the test."
    retry_after: int | None = None


Answer = Mapping[str, Any] | Refusal | Answering | web.Response | None


@dataclass
class Canned:
    """Answers by request, the last one given again and again; None is an empty 202."""

    stand_in: StandIn

    def tell(self, request: str, *answers: Answer) -> None:
        """Set what comes of a request, call by call: `tell("GET image /images", {…})`."""
        method, service, path = request.split(" ")
        self.stand_in.tell(f"{method} {ROOTS[service]}{path}", *map(_told, answers))

    @property
    def requests(self) -> list[str]:
        """What was asked of the services, without their versions."""
        found = [(asked.method, _named(asked.path)) for asked in self.stand_in.asked]
        return [f"{method} {name}" for method, name in found if name]

    def last(self, request: str) -> Asked:
        """Return the last one of a kind of request."""
        for asked in reversed(self.stand_in.asked):
            if f"{asked.method} {_named(asked.path)}" == request:
                return asked
        raise AssertionError(f"{request} was not asked, but {self.requests}")

    def body(self, request: str) -> Any:
        """Return what the last one of a kind of request sent."""
        return json.loads(self.last(request).body)


def _named(path: str) -> str:
    for service, root in ROOTS.items():
        if path.startswith(f"{root}/") and len(path) > len(root) + 1:
            return f"{service} {path.removeprefix(root)}"
    return ""


def _told(answer: Answer) -> Any:
    if answer is None:
        return 202
    if isinstance(answer, Refusal):
        more = {} if answer.retry_after is None else {"retry_after": answer.retry_after}
        return fault(answer.status, answer.code, answer.message, **more)
    return answer


@asynccontextmanager
async def canned_cloud(folder: Path) -> AsyncIterator[tuple[Canned, Cloud]]:
    """Give a login to a cloud with canned answers."""
    async with (
        standing_in() as stand_in,
        opened(DRIVER, folder, credentials=LOGIN, provider=stand_in.auth_url) as cloud,
    ):
        yield Canned(stand_in), cloud
