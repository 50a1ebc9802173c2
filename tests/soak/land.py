"""Projects with quotas, and prices: what the operator sets up before the clients come."""

from dataclasses import dataclass
from typing import Any, Protocol

PROJECTS = ("red", "green", "blue", "grey")
# Fewer than the clients would like to have.
QUOTAS = {"instances": 40, "volumes": 25}

# An hour of each; what has no price costs nothing.
CURRENCY = "EUR"
RUNNING = {"m1-small": "0.36", "m1-large": "1.08"}
STOPPED = "0.036"
VOLUME_GIB = "0.018"
PRICES: tuple[dict[str, str], ...] = (
    *({"meter": "instances.running", "kind": k, "amount": a} for k, a in RUNNING.items()),
    {"meter": "instances.stopped", "amount": STOPPED},
    {"meter": "volumes", "amount": VOLUME_GIB},
)


@dataclass(frozen=True)
class Project:
    """A project, and a token that acts in it."""

    name: str
    id: str
    token: str


class Operator(Protocol):
    """Who may do everything."""

    async def ask(self, method: str, path: str, body: Any = None) -> Any: ...


async def settled(operator: Operator) -> list[Project]:
    """Make the projects, their quotas and the prices."""
    domain = await _asked(operator, "POST", "/v1/domains", {"name": "soak"})
    found = []
    for name in PROJECTS:
        wish = {"name": name, "parent": domain["id"]}
        made = await _asked(operator, "POST", "/v1/projects", wish)
        await _asked(operator, "PATCH", f"/v1/tenant-quotas/{made['id']}", QUOTAS)
        token = await _asked(operator, "POST", "/v1/tokens", {"name": name, "tenant": made["id"]})
        found.append(Project(name, made["id"], token["secret"]))
    prices = [{**price, "currency": CURRENCY, "unit": "hour"} for price in PRICES]
    await _asked(operator, "POST", "/v1/prices", {"prices": prices})
    return found


async def _asked(operator: Operator, method: str, path: str, body: Any) -> Any:
    reply = await operator.ask(method, path, body)
    assert reply.is_well, (method, path, reply)
    return reply.body
