"""Metrics as small pictures: the samples of a series placed in a box, and as rows of a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nimbi.frontends.deltacloud.html.cells import Member, list_at, text_of
from nimbi.frontends.deltacloud.html.words import label_of

WIDTH, HEIGHT, MARGIN = 240, 60, 4
SAMPLE_COLUMNS = ("timestamp", "minimum", "maximum", "average", "unit")


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A series. `points` are those of an SVG polyline of the averages, empty below two samples.

    `rows` have the values of SAMPLE_COLUMNS; `says` tells the picture in words.
    """

    name: str
    points: str
    says: str
    rows: Sequence[Sequence[str]]


def charts(metric: Member) -> list[Chart]:
    """Return the chart of each series of a metric's JSON."""
    return [_chart(series) for series in list_at(metric, "properties")]


def _chart(series: Member) -> Chart:
    samples = list_at(series, "values")
    averages = [n for n in (_number(sample.get("average")) for sample in samples) if n is not None]
    unit = next((text_of(sample.get("unit")) for sample in samples), "")
    return Chart(
        name=label_of(text_of(series.get("name"))),
        points=_points(averages),
        says=_says(averages, unit),
        rows=[[_shown(key, sample.get(key)) for key in SAMPLE_COLUMNS] for sample in samples],
    )


def _points(values: list[float]) -> str:
    """Place values from left to right, the greatest on top; equal ones lie in the middle."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    room = HEIGHT - 2 * MARGIN
    shares = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    return " ".join(
        f"{MARGIN + step * i:.1f},{MARGIN + room * (1 - share):.1f}"
        for i, share in enumerate(shares)
    )


def _says(values: list[float], unit: str) -> str:
    if not values:
        return "No samples yet."
    told = "" if unit in ("", "None") else f" {unit.lower()}"
    return f"From {min(values):g} to {max(values):g}{told}, last {values[-1]:g}{told}."


def _shown(key: str, value: Any) -> str:
    """Return a sample's value as text; its timestamp (Unix seconds) as a time in UTC."""
    seconds = _number(value) if key == "timestamp" else None
    if seconds is None:
        return text_of(value)
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return text_of(value)


def _number(value: Any) -> float | None:
    """Return a finite number of a size that can be drawn, None for anything else."""
    try:
        number = float(text_of(value))
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < 1e100 else None
