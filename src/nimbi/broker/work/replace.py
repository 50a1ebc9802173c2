"""The job that replaces an instance by one like it."""

from nimbi.broker.work.ground import WorkGround
from nimbi.broker.work.replacing import Care, Replacing
from nimbi.jobs import Kind, Work
from nimbi.model.mending import Replace, Replaced


def kind(ground: WorkGround, care: Care) -> Kind[Replace, Replaced]:
    """Return the kind of job."""

    async def run(work: Work, wish: Replace) -> Replaced:
        return await Replacing(ground, care, work, wish).run()

    return Kind("replace", Replace, run, "Replace an instance by one like it.")
