"""One cloud as data: how to log in, which collections it has, how its errors read."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from nimbi.driver.measurements import Measurement
from nimbi.driver.operation import Collection
from nimbi.driver.states import StateMachine
from nimbi.model.errors import CloudError
from nimbi.wire.destinations import Reach

Backend = TypeVar("Backend")
Session = TypeVar("Session")


class UserAndPassword(msgspec.Struct, frozen=True):
    """The credentials that HTTP Basic carries. Field order is that of Basic's user and password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "UserAndPassword(…)"


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For drivers without any setting."""


@dataclass(frozen=True)
class Place:
    """Where a driver may keep state: `state_dir` is its own, made (mode 0700) when needed."""

    state_dir: Path


@dataclass(frozen=True, repr=False)
class Account:
    """Who opens a session where: the driver's credentials, None when the caller gave none.

    A driver raises Unauthorized when it needs credentials and has none, or wrong ones: at `open`
    when it can tell, else at the first call. `provider` None is the driver's default. `reach` is
    how far requests of the session may go; `client` the address of who caused it to be opened,
    None if unknown.
    """

    credentials: Any | None
    provider: str | None = None
    reach: Reach = Reach.ANYWHERE
    client: str | None = None


class FoundLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A login that a driver found on this machine. `name` is the one that it has there.

    `source` is for people. `credentials` None are those of `own_login`; with a `problem`, it is
    none that Nimbi can keep.
    """

    name: str
    source: str
    provider: str | None = None
    credentials: Any | None = None
    problem: str | None = None

    def __repr__(self) -> str:
        return f"FoundLogin({self.name!r}, …)"


def keep_error(_error: Exception) -> CloudError | None:
    """Map no error: for drivers that raise CloudErrors themselves."""
    return None


@dataclass(frozen=True, kw_only=True)
class Driver(Generic[Backend, Session]):
    """One cloud, found by the entry point group `nimbi.drivers`; imported at first use.

    `start` opens what all sessions of this process share (a connection pool, a store), once;
    `open` logs an account in. `settings` is the Struct of the driver's part of the settings file.
    `to_error` sorts the cloud's own exceptions; None leaves one unmapped. `entrypoints` are shown
    to clients: `{"ec2": {"eu-west-1": "ec2.eu-west-1.amazonaws.com"}}`, kind and provider.
    `narrow` returns the collections that this very session has, when that differs between accounts
    or machines; `notes` what clients may be shown of it beside: `{"network": "user: …"}`;
    `providers` the entrypoints that only a session knows, such as a private cloud's regions;
    `states` the state machine that only a session knows. `urls_of` gives the URLs that a provider
    names, which strangers may have chosen; it raises Invalid for a provider that can be none.
    `found_logins` looks for logins that this very user has: environment and home directory.
    """

    name: str
    title: str
    start: Callable[[Any, Place], AbstractAsyncContextManager[Backend]]
    open: Callable[[Backend, Account], AbstractAsyncContextManager[Session]]
    collections: tuple[Callable[[Session], Collection], ...]
    instance_states: StateMachine
    credentials: type[Any] = UserAndPassword
    settings: type[Any] = NoSettings
    # What the gateway's limits of calls are unless the settings file says else.
    calls: Mapping[str, Any] = field(default_factory=dict)
    to_error: Callable[[Exception], CloudError | None] = keep_error
    entrypoints: dict[str, dict[str, str]] = field(default_factory=dict)
    narrow: Callable[[Session], frozenset[str]] | None = None
    notes: Callable[[Session], Mapping[str, str]] = lambda _session: {}
    providers: Callable[[Session], dict[str, dict[str, str]]] | None = None
    states: Callable[[Session], StateMachine | None] = lambda _session: None
    urls_of: Callable[[str], Iterable[str]] = lambda _provider: ()
    found_logins: Callable[[Mapping[str, str], Path], Iterable[FoundLogin]] = lambda _e, _h: ()
    # Whether its cloud lives in the memory of one process, so that two workers would see two.
    in_process: Callable[[Any], bool] = lambda _settings: False
    # The credentials of whoever may read its state directory: a program that uses Nimbi as a
    # library need not tell them again. Never used for requests from elsewhere.
    own_login: Callable[[Any, Place], Any | None] = lambda _settings, _place: None
    # Numbers about the cloud for whoever watches over the server; called in a thread, again and
    # again, also when the driver was not started. Must be quick, and hold no secret.
    measurements: Callable[[Any, Place], Iterable[Measurement]] = lambda _settings, _place: ()
