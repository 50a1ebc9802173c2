"""What an id of AWS looks like: others need not be asked for."""

import re

from nimbi.model.errors import NotFound

# Prefix and hexadecimal digits in AWS; Eucalyptus and stand-ins use other letters and digits.
SHAPE = re.compile(r"[a-z]{1,20}-[0-9A-Za-z]{1,64}", re.ASCII)


def known(id: str, noun: str) -> str:
    """Return an id that the cloud can have given. Raises NotFound for any other text."""
    if SHAPE.fullmatch(id):
        return id
    raise NotFound(f"there is no {noun} {id[:100]!r}")
