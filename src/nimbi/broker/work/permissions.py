"""What a caller must be allowed for a job to be begun, so that it is refused at once and not late.

What a job does is checked again when it is done, by what its owner may do then.
"""

from collections.abc import Callable, Mapping
from typing import Any

from nimbi.broker.access import Caller, check
from nimbi.broker.work.actions import action_of
from nimbi.model.work import Bulk, CopyBlob, Launch

BEGIN = "jobs.create"

# An operation, and the account that it is done on.
Need = tuple[str, str]


def _of_launch(launch: Launch) -> list[Need]:
    return [("instances.create", launch.account), ("instances.get", launch.account)]


def _of_copy(copy: CopyBlob) -> list[Need]:
    to = copy.target.account
    return [("blobs.read", copy.source.account), ("blobs.write", to), ("blobs.get", to)]


def _of_bulk(bulk: Bulk) -> list[Need]:
    operation = action_of(bulk.action).operation
    named = {target.account for target in bulk.targets}
    if bulk.choice is not None:
        named |= set(bulk.choice.accounts)
    return [(operation, account) for account in sorted(named)]


NEEDS: Mapping[type[Any], Callable[[Any], list[Need]]] = {
    Launch: _of_launch,
    CopyBlob: _of_copy,
    Bulk: _of_bulk,
}


def check_begin(caller: Caller, arguments: Any, operation: str = BEGIN) -> None:
    """Raise Forbidden unless a caller may begin a job with these arguments, and do what it does.

    `operation` is what is asked of the broker itself: `schedules.create`, for example. What names
    no account takes a scope for all of them.
    """
    needed = NEEDS.get(type(arguments))
    needs = needed(arguments) if needed is not None else []
    if not needs:
        check(caller, operation, None)
    for account in {account for _, account in needs}:
        check(caller, operation, account)
    for each, account in needs:
        check(caller, each, account)
