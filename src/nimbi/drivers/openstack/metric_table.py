"""The names of what is measured, and samples of it."""

from collections.abc import Mapping
from datetime import datetime

from nimbi.model.metrics import Sample, Unit

# Deltacloud's names for what is measured.
PROPERTIES: Mapping[str, Unit] = {
    "cpuUtilization": Unit.PERCENT,
    "memoryUsage": Unit.BYTES,
    "diskReadByte": Unit.BYTES,
    "diskReadRequestCount": Unit.COUNT,
    "diskWriteByte": Unit.BYTES,
    "diskWriteRequestCount": Unit.COUNT,
    "nicInputByte": Unit.BYTES,
    "nicInputPacket": Unit.COUNT,
    "nicOutputByte": Unit.BYTES,
    "nicOutputPacket": Unit.COUNT,
}

Samples = tuple[Sample, ...]

MIB = 2**20
NS_PER_S = 10**9


def sample(name: str, at: datetime, value: float) -> Sample:
    """Return one value of a property, over which nothing more is known."""
    return Sample(at=at, minimum=value, maximum=value, average=value, unit=PROPERTIES[name])
