"""Health checks: whether instances and clouds answer, and what is done when they do not."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from nimbi.model.accounts import Problem
from nimbi.model.errors import Invalid
from nimbi.model.people import ROOT, check_email
from nimbi.model.repair import Evacuation, Trait
from nimbi.model.resource import NewResource

MOST_EMAILS = 20

Port = Annotated[int, Meta(ge=1, le=65535)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Text = Annotated[str, Meta(max_length=1024)]
Status = Annotated[int, Meta(ge=100, le=599)]

# Labels of a DNS name, with a port perhaps; nothing that could end a header.
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?(:[0-9]{1,5})?")


class ProbeKind(StrEnum):
    """How a thing is asked whether it is well.

    TCP: a connection opens. HTTP: the answer has an expected status. SSH: a server of ssh greets.
    STATE: the cloud says that the instance runs. CLOUD: the account's cloud answers its login.
    """

    TCP = "tcp"
    HTTP = "http"
    SSH = "ssh"
    STATE = "state"
    CLOUD = "cloud"


# What goes to an address of an instance.
TO_ADDRESS = frozenset({ProbeKind.TCP, ProbeKind.HTTP, ProbeKind.SSH})


class Side(StrEnum):
    """Which of an instance's addresses are asked; ANY is a public one, else a private one."""

    ANY = "any"
    PUBLIC = "public"
    PRIVATE = "private"


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of a thing. It goes to addresses of the instance itself, and nowhere else.

    `port` None is the usual one: that of ssh as the cloud tells it, 80, or 443 with `tls`. `path`,
    `statuses` and `host` (the Host header, and the name that a certificate must have) are for HTTP.
    Without a `host` no certificate is looked at: an address has none.
    """

    kind: ProbeKind
    port: Port | None = None
    side: Side = Side.ANY
    path: Annotated[str, Meta(pattern="^/[!-~]*$", max_length=1000)] = "/"
    statuses: Annotated[tuple[Status, ...], Meta(min_length=1, max_length=20)] = (200,)
    host: str | None = None
    tls: bool = False
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0

    def check(self) -> None:
        """Raise Invalid for a kind that lacks its port, and for a host that is none."""
        if self.kind is ProbeKind.TCP and self.port is None:
            raise Invalid("a check by tcp needs a port")
        if self.host is not None and not _HOST.fullmatch(self.host):
            raise Invalid("host is the name of a host, as the Host header has it")


class ActionKind(StrEnum):
    """What is done when a check fails: a job of this kind."""

    RESTART = "restart"
    REPLACE = "replace"
    EVACUATE = "evacuate"


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done for a thing that does not answer, and how often at most.

    It is done when the check begins to fail, and again every `pause_s` while it goes on failing,
    but no more than `most` times within `window_s`, however often it flaps. `evacuation` is for an
    account: where its instances go. `without` is what a replacement may lack.
    """

    kind: ActionKind
    pause_s: Annotated[int, Meta(ge=30, le=86400)] = 300
    most: Annotated[int, Meta(ge=1, le=20)] = 3
    window_s: Annotated[int, Meta(ge=60, le=7 * 86400)] = 3600
    without: frozenset[Trait] = frozenset()
    evacuation: Evacuation | None = None


class NewCheck(NewResource, frozen=True, kw_only=True):
    """Look after an instance, or after an account when no instance is named.

    Every `every_s`; after `failures` bad results in a row it is down and its alert fires, after
    `successes` good ones it is up again. `emails` are written to when the alert begins and ends.
    """

    name: Name
    account: Name
    instance_id: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    probe: Probe
    every_s: Annotated[int, Meta(ge=5, le=86400)] = 60
    failures: Annotated[int, Meta(ge=1, le=100)] = 3
    successes: Annotated[int, Meta(ge=1, le=100)] = 1
    emails: Annotated[tuple[str, ...], Meta(max_length=MOST_EMAILS)] = ()
    action: Action | None = None

    def check(self) -> None:
        """Raise Invalid for a probe or an action that the thing cannot have."""
        self.probe.check()
        for email in self.emails:
            check_email(email)
        is_cloud = self.instance_id is None
        if is_cloud != (self.probe.kind is ProbeKind.CLOUD):
            raise Invalid("a check of an account is by cloud, one of an instance by anything else")
        if self.action is None:
            return
        if is_cloud != (self.action.kind is ActionKind.EVACUATE):
            raise Invalid("an account is evacuated, an instance is restarted or replaced")
        if is_cloud != (self.action.evacuation is not None):
            raise Invalid("evacuation tells where the instances of an account go")
        if self.action.evacuation is not None:
            if self.action.evacuation.account != self.account:
                raise Invalid("what is evacuated is the account that is checked")
            self.action.evacuation.check()


class CheckState(StrEnum):
    """UNKNOWN until the first result, and while nobody can ask."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check, with what it said last.

    `problem` is of the last result, also while the state is still what it was. `took_s` is how long
    the last answer took.
    """

    id: str
    name: str
    tenant: str = ROOT
    account: str
    instance_id: str | None
    probe: Probe
    every_s: int
    failures: int
    successes: int
    emails: tuple[str, ...] = ()
    action: Action | None = None
    is_enabled: bool = True
    created_at: datetime
    state: CheckState = CheckState.UNKNOWN
    since: datetime | None = None
    checked_at: datetime | None = None
    took_s: float | None = None
    problem: Problem | None = None


class TakenAction(msgspec.Struct, frozen=True, kw_only=True):
    """What was done for a check; `id` is that of the job. `problem` is why none could be begun."""

    id: str
    check: str
    kind: ActionKind
    at: datetime
    is_started: bool
    problem: Problem | None = None
