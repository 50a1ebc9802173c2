"""The kinds of jobs, and the schedules by which they begin."""

from nimbi.broker.work import bulk, copying, evacuate, launch, replace, restart
from nimbi.broker.work.ground import WorkGround
from nimbi.broker.work.replacing import Care
from nimbi.broker.work.schedules import Schedules
from nimbi.jobs.kinds import AnyKind

__all__ = ["Schedules", "WorkGround", "kinds"]


def kinds(ground: WorkGround, schedules: Schedules, care: Care) -> tuple[AnyKind, ...]:
    """Return all kinds of jobs that work with clouds."""
    return (
        launch.kind(ground, schedules.lease),
        bulk.kind(ground, schedules.done_before),
        copying.kind(ground),
        restart.kind(ground),
        replace.kind(ground, care),
        evacuate.kind(ground, care),
    )
