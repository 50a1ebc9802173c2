"""Keeping the database small, and the operator's keys current."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from nimbi.broker.background import background
from nimbi.model.errors import CloudError
from nimbi.store.errors import SealError
from nimbi.store.events import EventStore
from nimbi.store.people import PeopleStore

if TYPE_CHECKING:
    from nimbi.broker.site import Broker

# How soon a key counts that the operator has just written to the file.
LOOK_FOR_KEYS_S = 15.0
PRUNE_EVERY_S = 3600.0
# How long answers to requests with an Idempotency-Key are remembered.
ANSWERS_AGE = timedelta(days=1)
EVENTS_AGE = timedelta(days=7)
# How long failures to sign in are counted, and expired tokens listed.
PEOPLE_AGE = timedelta(days=30)
# How long it is known of a thing that is gone that it was made here.
MADE_AGE = timedelta(days=7)
# How long it is known whose a thing was that is gone: bills are made after the month.
HELD_AGE = timedelta(days=100)
# How long it can be told again what a bill is made of.
USAGE_AGE = timedelta(days=3 * 366)
# How long jobs that have ended are listed.
JOBS_AGE = timedelta(days=30)

log = logging.getLogger(__name__)


def kept(broker: "Broker", audit_age: timedelta | None) -> AbstractAsyncContextManager[None]:
    """Keep both so until the block ends. Without an age the whole audit is kept."""
    return background(_keep_keys(broker), _prune(broker, audit_age))


async def _keep_keys(broker: "Broker") -> None:
    source = broker.keyring.source
    # A command may ask a person, and a variable never changes.
    if source is None or source.command or source.variable:
        return
    while True:
        await asyncio.sleep(LOOK_FOR_KEYS_S)
        try:
            if await broker.keyring.refresh():
                log.info(
                    "the operator's keys were read anew: %s is current", broker.keyring.current
                )
        except SealError as error:
            log.warning("the operator's keys cannot be read, the old ones stay: %s", error)


async def _prune(broker: "Broker", audit_age: timedelta | None) -> None:
    people, events = PeopleStore(broker.database), EventStore(broker.database)
    while True:
        now = datetime.now(UTC)
        with suppress(CloudError):
            await broker.answers.prune(now - ANSWERS_AGE)
            await people.prune(now - PEOPLE_AGE)
            await events.prune(now - EVENTS_AGE)
            await broker.intents.prune(now - MADE_AGE)
            await broker.metering.usage.prune(now - USAGE_AGE)
            await broker.ground.holdings.prune(now - HELD_AGE)
            await broker.jobs.prune(now - JOBS_AGE)
            await broker.health.prune(now)
            if audit_age is not None:
                await broker.audit.prune(now - audit_age)
        await asyncio.sleep(PRUNE_EVERY_S)
