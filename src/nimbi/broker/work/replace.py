"""The job that replaces an instance by one like it."""

from nimbi.broker.ledger.reservation import Along
from nimbi.broker.work.ground import PASSING, WorkGround
from nimbi.broker.work.making import token_parts
from nimbi.broker.work.replacing import Care, Replacing
from nimbi.broker.work.template import expected
from nimbi.jobs import Kind, Work
from nimbi.jobs.work import token_of
from nimbi.model.errors import CloudError, NotFound
from nimbi.model.people import Owner
from nimbi.model.repair import Replace, Replaced
from nimbi.store.connection import AsyncConnection


def kind(ground: WorkGround, care: Care) -> Kind[Replace, Replaced]:
    """Return the kind of job."""

    async def run(work: Work, wish: Replace) -> Replaced:
        return await Replacing(ground, care, work, wish).run()

    async def ahead(id: str, wish: Replace, owner: Owner) -> Along:
        try:
            old = await care.known(wish.account, wish.instance_id)
        except CloudError as error:
            if error.code not in PASSING | {NotFound.code}:
                raise
            # The job asks its cloud, again and again, and reserves then.
            return _nothing
        new = expected(old, wish)
        if new is None:
            return _nothing
        names = {token_of(id, *token_parts(0, 0)): new.name}
        return await ground.ahead(owner, wish.target or wish.account, new, names)

    text = "Replace an instance by one like it."
    return Kind("replace", Replace, run, text, ground.settle, ahead, title=_title)


def _title(wish: Replace) -> str:
    return f"replace {wish.account}:{wish.instance_id}"


async def _nothing(_connection: AsyncConnection, _job: str) -> None:
    return None
