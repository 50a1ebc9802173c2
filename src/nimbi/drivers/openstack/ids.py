"""What an id of OpenStack looks like: others need not be asked for."""

import re

from nimbi.model.errors import NotFound

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def known(id: str, noun: str) -> str:
    """Return an id that the cloud can have given. Raises NotFound for any other text."""
    if ID.fullmatch(id):
        return id
    raise NotFound(f"there is no {noun} {id[:100]!r}")
