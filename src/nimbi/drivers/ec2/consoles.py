"""The console log and the screen of an instance."""

import asyncio
import base64
import binascii
import io

from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.instance_facts import UNKNOWN
from nimbi.drivers.ec2.query import text
from nimbi.drivers.ec2.session import Session
from nimbi.model.errors import CloudError

MOST_BYTES = 64 * 1024

# Only machines on the Nitro hypervisor tell what they write now; others what they wrote at boot.
NOT_NITRO = frozenset({"UnsupportedOperation", "InvalidParameterCombination"})

# Screens are 1024 by 768; one that were much larger is none.
MOST_PIXELS = 4096 * 4096


async def text_of(session: Session, id: str) -> bytes:
    """Return the end of an instance's console log."""

    async def output(*, latest: bool) -> bytes:
        asked = {"InstanceId": id, "Latest": latest or None}
        root = await session.settled(lambda: session.ec2("GetConsoleOutput", asked), codes=UNKNOWN)
        return _decoded(text(root, "output"), "console")

    try:
        told = await output(latest=True)
    except AwsError as error:
        if error.code not in NOT_NITRO:
            raise
        told = await output(latest=False)
    return told[-MOST_BYTES:]


async def picture_of(session: Session, id: str) -> bytes:
    """Return the screen of an instance as PNG; AWS gives it as JPEG."""
    root = await session.ec2("GetConsoleScreenshot", {"InstanceId": id, "WakeUp": True})
    return await asyncio.to_thread(_png, _decoded(text(root, "imageData"), "screen"))


def _decoded(data: str | None, what: str) -> bytes:
    try:
        return base64.b64decode(data or "")
    except (binascii.Error, ValueError):
        raise CloudError(f"AWS gave no base64 as the {what} of the instance") from None


def _png(picture: bytes) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG",)) as found:
            if found.width * found.height > MOST_PIXELS:
                raise CloudError("AWS gave a screen that is too large to be one")
            found.save(out, "PNG")
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise CloudError("AWS gave no picture of the screen") from error
    return out.getvalue()
