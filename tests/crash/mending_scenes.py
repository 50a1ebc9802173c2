"""Instances that are replaced, and moved to another account: in the end there is one of each."""

from typing import Any

from tests.crash.scenes import ACCOUNT, Scene
from tests.crash.work_scenes import OTHER

from nimbi.broker.access import ADMIN
from nimbi.broker.site import Broker
from nimbi.model.checks import NewCheck, Probe, ProbeKind
from nimbi.model.repair import Evacuation, Replace, Restart, Trait

# The mock clouds' own, in both accounts.
OLD = "inst2"
MOVE = Evacuation(
    account=ACCOUNT,
    target=OTHER,
    images={"img1": "img2"},
    profiles={"m1-large": "m1-small"},
    realms={"us": "eu"},
    without=frozenset({Trait.SIZES}),
    instances=("inst0", "inst2"),
)


async def _checked(broker: Broker) -> None:
    """Look after the old one by a port where nobody listens: the new one never answers."""
    probe = Probe(kind=ProbeKind.TCP, port=9, timeout_s=1)
    new = NewCheck(name="web", account=ACCOUNT, instance_id=OLD, probe=probe)
    await broker.health.create_check(ADMIN, new)


def _counted(result: Any) -> Any:
    """Return how many were moved: which ids they have depends on who was first."""
    if not isinstance(result, dict):
        return result
    if "moved" in result:
        return {"moved": len(result["moved"]), "failed": result["failed"]}
    return {name: value for name, value in result.items() if name != "new_id"}


REPLACE = Replace(account=ACCOUNT, instance_id=OLD)

SCENES: tuple[Scene, ...] = (
    Scene("restart", "restart", Restart(account=ACCOUNT, instance_id=OLD)),
    Scene("replacement", "replace", REPLACE, plain=_counted),
    Scene(
        "replacement, cancelled",
        "replace",
        REPLACE,
        arrange=_checked,
        cancel_at="waiting",
        plain=_counted,
    ),
    Scene("evacuation of two", "evacuate", MOVE, accounts=(ACCOUNT, OTHER), plain=_counted),
)
