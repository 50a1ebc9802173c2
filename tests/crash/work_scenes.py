"""The jobs of the broker, each as it is done, and as it is cancelled."""

from collections.abc import AsyncIterator
from typing import Any

from tests.crash.scenes import ACCOUNT, Scene

from nimbi.broker.access import ADMIN
from nimbi.broker.site import Broker
from nimbi.model.buckets import NewBlob, NewBucket
from nimbi.model.instances import NewInstance
from nimbi.model.work import (
    AnswerKind,
    Answers,
    BlobAt,
    Bulk,
    Choice,
    CopyBlob,
    Launch,
    OnFailure,
)

OTHER = "b"
SOURCE = BlobAt(account=ACCOUNT, bucket="from", id="thing")
TARGET = BlobAt(account=OTHER, bucket="to", id="thing")
PART_BYTES = 5 << 20
SIZE_BYTES = 11 << 20
CHUNK = bytes(1 << 20)

NEW = NewInstance(image_id="img1", name="web")
# Nobody ever says that, so the job waits until it is cancelled.
NEVER = Answers(kind=AnswerKind.AGENT, text="what nobody says")


def _launched(result: Any) -> Any:
    """Return how many were launched: which ids they have depends on who was first."""
    if not isinstance(result, dict):
        return result
    return {"launched": len(result["ids"]), "failed": len(result["failures"])}


def _copied(result: Any) -> Any:
    """Return what was copied, without the etag that a cloud makes up at each write."""
    if not isinstance(result, dict):
        return result
    return {name: value for name, value in result.items() if name != "etag"}


def _done(result: Any) -> Any:
    """Return to what something was done; what was done before a death counts as so already."""
    if not isinstance(result, dict):
        return result
    return {
        "done": sorted(target["id"] for target in result["done"]),
        "failures": result["failures"],
    }


async def _machines(broker: Broker) -> None:
    async with broker.use(ADMIN, ACCOUNT) as cloud:
        for number in range(3):
            await cloud.instances.create(NewInstance(image_id="img1", name=f"old-{number}"))


async def _blobs(broker: Broker) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(SIZE_BYTES // len(CHUNK)):
            yield CHUNK

    for account, bucket in ((ACCOUNT, "from"), (OTHER, "to")):
        async with broker.use(ADMIN, account) as cloud:
            await cloud.buckets.create(NewBucket(name=bucket))
    async with broker.use(ADMIN, ACCOUNT) as cloud:
        new = NewBlob(bucket_id=SOURCE.bucket, id=SOURCE.id, content_type="text/x")
        await cloud.blobs.write(new, chunks())


SCENES: tuple[Scene, ...] = (
    Scene("launch", "launch", Launch(account=ACCOUNT, new=NEW), plain=_launched),
    Scene(
        "launch of three, missing ones again",
        "launch",
        Launch(account=ACCOUNT, new=NEW, count=3, on_failure=OnFailure.RETRY_MISSING),
        plain=_launched,
    ),
    Scene(
        "launch of three, rolled back",
        "launch",
        Launch(
            account=ACCOUNT,
            new=NEW,
            count=3,
            on_failure=OnFailure.ROLL_BACK,
            answers=NEVER,
            patience_s=1,
        ),
        plain=_launched,
    ),
    Scene(
        "launch of two, cancelled",
        "launch",
        Launch(account=ACCOUNT, new=NEW, count=2, answers=NEVER),
        cancel_at="waiting",
        plain=_launched,
    ),
    Scene(
        "bulk stop",
        "bulk",
        Bulk(
            action="instances.stop",
            choice=Choice(accounts=(ACCOUNT,), filters={"name_prefix": "old-"}),
        ),
        arrange=_machines,
        plain=_done,
    ),
    Scene(
        "copy of a blob in parts",
        "copy-blob",
        CopyBlob(source=SOURCE, target=TARGET, part_bytes=PART_BYTES),
        accounts=(ACCOUNT, OTHER),
        arrange=_blobs,
        plain=_copied,
    ),
)
