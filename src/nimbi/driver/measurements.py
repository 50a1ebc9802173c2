"""What a driver may tell about its cloud to those who watch over the server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

COUNTER: Literal["counter"] = "counter"
GAUGE: Literal["gauge"] = "gauge"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number: `guest_cpu_seconds`, with base units in its name, no prefix and no `_total`.

    A COUNTER only grows, until it begins anew. The same name has the same text, kind and labels
    each time; the values of labels must be few, and not be of a stranger's choosing.
    """

    name: str
    text: str
    kind: Literal["counter", "gauge"]
    labels: Mapping[str, str]
    value: float
