"""Kinds of jobs, as data."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nimbi.jobs.work import Work
from nimbi.store.jobs import Settle

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Kind(Generic[T, R]):
    """A kind of job: `run` does it, with arguments of the type `arguments`.

    `run` returns what the job's `result` is, something that msgspec encodes. It may raise
    CloudError, which is the job's `error`. `text` says in one line what it does. `settle`
    gives back what was reserved for the job, in the very transaction that ends it.
    """

    name: str
    arguments: type[T]
    run: Callable[[Work, T], Awaitable[R]]
    text: str
    settle: Settle | None = None


AnyKind = Kind[Any, Any]
