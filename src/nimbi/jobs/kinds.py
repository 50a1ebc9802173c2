"""Kinds of jobs, as data."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nimbi.jobs.work import Work
from nimbi.model.people import Owner
from nimbi.store.jobs import Along, Settle

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Kind(Generic[T, R]):
    """A kind of job: `run` does it, with arguments of the type `arguments`.

    `run` returns what the job's `result` is, something that msgspec encodes. It may raise
    CloudError, which is the job's `error`. `text` says in one line what it does. `ahead`
    is asked, with the job's id, before one begins: what it returns reserves what the job is going
    to need, in the very transaction that starts it, and what it raises starts none. `settle` gives
    back what is left of that, in the transaction that ends it. `title` says what a job of these
    arguments is about, for people; without it that is `text`.
    """

    name: str
    arguments: type[T]
    run: Callable[[Work, T], Awaitable[R]]
    text: str
    settle: Settle | None = None
    ahead: Callable[[str, T, Owner], Awaitable[Along]] | None = None
    title: Callable[[T], str] | None = None


AnyKind = Kind[Any, Any]
