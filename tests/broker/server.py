"""One of several processes on one database: polls, and makes what it is told. Run: JSON."""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.broker.sites import BEAT, Site, open_site

from nimbi.broker.access import ADMIN
from nimbi.broker.audit import Audit
from nimbi.broker.calls import AccountUse, Ground
from nimbi.broker.limits import Limits
from nimbi.broker.sizing import NoPrices, Sizing
from nimbi.driver.compute import Instances
from nimbi.drivers.mock import DRIVER
from nimbi.gateway.registry import Registry
from nimbi.model.instances import NewInstance
from nimbi.store.audit import AuditStore
from nimbi.store.holdings import HoldingStore
from nimbi.store.limits import LimitStore
from nimbi.store.sealing import Keyring


def opened(
    told: Mapping[str, Any], holder: str, faults: Mapping[str, Any]
) -> AbstractAsyncContextManager[Site]:
    """Return the broker on the database and the clouds that all processes share."""
    names = [f"mock-{account}" for account in told["accounts"]]
    return open_site(
        told["url"],
        Path(told["place"]) / holder,
        keyring=Keyring.of(told["key"]),
        registry=Registry({name: replace(DRIVER, name=name) for name in names}),
        settings={
            name: {"storage": str(Path(told["place"]) / name), "faults": faults} for name in names
        },
        holder=holder,
        beat=BEAT,
    )


async def make(site: Site, account: str, token: str, holder: str) -> str:
    """Make an instance as front ends do, and return its id."""
    ground = Ground(
        accounts=site.accounts,
        clouds=site.pool,
        database=site.database,
        intents=site.intents,
        holdings=HoldingStore(site.database),
        limits=Limits(LimitStore(site.database)),
        sizing=Sizing(site.store, NoPrices()),
        audit=Audit(AuditStore(site.database)),
        inventory=site.inventory,
        holder=holder,
    )
    async with AccountUse(ground, ADMIN, account) as cloud:
        new = NewInstance(image_id="img1", token=token, name=token)
        return (await cloud.call(Instances.create, new)).id


async def serve(told: Mapping[str, Any]) -> None:
    """Poll, make one instance after the other, and say so before and after each."""
    holder = told["holder"]
    slow = {"latency": {"seconds": 0.05, "operations": ["instances.create"]}}
    async with opened(told, holder, slow) as site, site.inventory.polling():
        for number in range(told["count"]):
            account = told["accounts"][number % len(told["accounts"])]
            token = f"{holder}-{number}"
            say("begins", account, token)
            say("made", account, token, await make(site, account, token, holder))
        say("over")
        # It ends with whoever started it.
        await asyncio.to_thread(sys.stdin.read)


def say(*words: str) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
