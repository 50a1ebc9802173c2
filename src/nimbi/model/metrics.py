"""Metrics: what a cloud measured of an instance."""

from datetime import datetime
from enum import StrEnum

import msgspec

from nimbi.model.resource import Resource


class Unit(StrEnum):
    """What a sample counts."""

    PERCENT = "percent"
    COUNT = "count"
    BYTES = "bytes"
    NONE = "none"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement, over the time that ends at `at`."""

    at: datetime
    minimum: float
    maximum: float
    average: float
    unit: Unit


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """All samples of one property, oldest first; empty in a list of metrics."""

    name: str
    samples: tuple[Sample, ...] = ()


class Metric(Resource, frozen=True, kw_only=True):
    """What is measured of one thing. `entity` is its name, or its id when it has none."""

    entity: str
    series: tuple[Series, ...]
