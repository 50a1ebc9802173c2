"""Keys of Eucalyptus, which have no tags."""

from collections import OrderedDict

from nimbi.drivers.ec2.keys import Ec2Keys
from nimbi.drivers.ec2.session import Session
from nimbi.model.errors import NotFound
from nimbi.model.keys import Key, NewKey

MOST_MADE = 1000


class EucalyptusKeys(Ec2Keys):
    """Key pairs. What a token has made is known to this process alone.

    When the answer to a new key was lost, the same wish is a Conflict: whose key it is that has the
    name can't be told.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._names: OrderedDict[str, str] = OrderedDict()

    async def create(self, new: NewKey) -> Key:
        made = await super().create(new)
        if new.token is not None:
            self._names[new.token] = made.id
            while len(self._names) > MOST_MADE:
                self._names.popitem(last=False)
        return made

    async def _made_by(self, token: str | None) -> Key | None:
        name = self._names.get(token or "")
        if name is None:
            return None
        try:
            return await self.get(name)
        except NotFound:
            return None
