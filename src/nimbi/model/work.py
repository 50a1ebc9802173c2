"""What jobs are asked to do, and what they say in the end."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from nimbi.model.accounts import Problem
from nimbi.model.errors import Invalid
from nimbi.model.instances import NewInstance

MOST_LAUNCHED = 100
MOST_TARGETS = 500
LONGEST_S = 24 * 3600

Seconds = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_S)]
Count = Annotated[int, msgspec.Meta(ge=1, le=MOST_LAUNCHED)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Lease = Annotated[int, msgspec.Meta(ge=60, le=366 * 24 * 3600)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class OnFailure(StrEnum):
    """What becomes of the rest when some of several could not be launched.

    KEEP leaves those that run. RETRY_MISSING makes the missing ones again as long as there is
    patience, then keeps. ROLL_BACK destroys all that was made.
    """

    KEEP = "keep"
    RETRY_MISSING = "retry-missing"
    ROLL_BACK = "roll-back"


class AnswerKind(StrEnum):
    """By what a machine shows that it is of use.

    SSH greets, HTTP answers with a status below 500, AGENT is the text that the agent within the
    machine (cloud-init, unless another text is told) writes to its console at its end.
    """

    SSH = "ssh"
    HTTP = "http"
    AGENT = "agent"


class Answers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to wait for beyond that a machine runs.

    `port` None is the machine's own port for ssh, or 80; `path` is for HTTP, `text` for the agent.
    """

    kind: AnswerKind
    port: Port | None = None
    path: Annotated[str, msgspec.Meta(pattern="^/[!-~]*$", max_length=1000)] = "/"
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class Launch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Launch `count` instances of one wish, and wait until they run, and answer when told so.

    With several, a name gets the number of each behind it: `web-1`. All of it takes `patience_s` at
    most; what is not there by then counts as missing. With `lease_s`, they are destroyed so long
    after the job's end. `keep` leaves what was made when the job is cancelled.
    """

    account: Name
    new: NewInstance
    count: Count = 1
    on_failure: OnFailure = OnFailure.KEEP
    wait: bool = True
    answers: Answers | None = None
    patience_s: Seconds = 1200
    lease_s: Lease | None = None
    keep: bool = False

    def __repr__(self) -> str:
        return f"Launch({self.account!r}, {self.new!r}, count={self.count})"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One of several that did not go well. `id` is that of the thing, when there is one."""

    account: str
    id: str | None = None
    name: str | None = None
    problem: Problem


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch came to: the ids of what is there in order, and what is missing."""

    account: str
    ids: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    lease_ends_at: datetime | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing. With `created_at`, only while it is the one that was made then.

    Some clouds give an id again when its thing is gone.
    """

    account: Name
    id: Id
    created_at: datetime | None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Things that are chosen when the job begins, out of the inventory.

    `filters` are those of lists: `state`, `name_prefix`, `realm_id`, …; a thing must fit all, and
    have all `tags`. At least one wish must be told, `everything` too is one.
    """

    accounts: tuple[Name, ...] = ()
    filters: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    everything: bool = False


class Bulk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Do one thing to many: to those named, those that fit a choice, or those of a job before.

    `action` is an operation on a single thing: `instances.stop`. `done_by` names a schedule whose
    last job was the opposite: what that one did is undone, and nothing else. Up to 500 things.
    """

    action: str
    targets: Annotated[tuple[Target, ...], msgspec.Meta(max_length=MOST_TARGETS)] = ()
    choice: Choice | None = None
    done_by: str | None = None

    def check(self) -> None:
        """Raise Invalid unless it is told in one way what it is done to."""
        told = (bool(self.targets), self.choice is not None, self.done_by is not None)
        if sum(told) != 1:
            raise Invalid("a bulk action has targets, a choice, or done_by: one of them")
        choice = self.choice
        if choice is not None and choice == Choice():
            raise Invalid("a choice of everything says so: everything")


class BulkDone(msgspec.Struct, frozen=True, kw_only=True):
    """What a bulk action came to: to what it was done, what was so already, and what failed."""

    action: str
    done: tuple[Target, ...] = ()
    skipped: tuple[Target, ...] = ()
    failures: tuple[Failure, ...] = ()


class BlobAt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A blob's place: account, bucket, and name."""

    account: Name
    bucket: Name
    id: Id


class CopyBlob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Copy a blob from one account to another, or within one.

    What is larger than a part goes part by part, and goes on at the part where it broke off. With
    `verify`, what has arrived is read again and compared.
    """

    source: BlobAt
    target: BlobAt
    part_bytes: Annotated[int, msgspec.Meta(ge=5 << 20, le=1 << 30)] = 16 << 20
    verify: bool = True


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy came to. `sha256` is that of the whole, None when it did not come through here.

    `verified` says that it was read at its new place, and was the same.
    """

    target: BlobAt
    size_bytes: int
    parts: int
    etag: str | None
    sha256: str | None
    verified: bool
