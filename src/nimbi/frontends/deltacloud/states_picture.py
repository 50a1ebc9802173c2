"""A picture of a state machine: boxes and labelled arrows."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nimbi.driver.states import StateMachine, Transition
from nimbi.model.instances import InstanceState

# Boxes stand in one column. A way to the next box is straight; all others are arcs: back and up on
# the left, ahead and loops on the right, each in a lane of its own so that none lie on each other.
BOX_W, BOX_H, GAP = 150, 48, 56
MARGIN, LANE = 30, 100
INK, PALE, PAPER, FILL = (33, 37, 41), (110, 110, 110), (255, 255, 255), (222, 235, 247)

Order = dict[InstanceState, int]
Point = tuple[int, int]


@dataclass(frozen=True)
class _Arc:
    """A way at a side: `side` 1 is right, -1 left; `lane` counts from the column outwards."""

    transition: Transition
    top: int
    bottom: int
    lane: int
    side: int


def as_png(machine: StateMachine) -> bytes:
    """Return a picture; ways that an instance goes by itself are dashed."""
    # Pillow takes 50 ms to import, and few ever look at the picture.
    from PIL import Image, ImageDraw, ImageFont

    order = {state: at for at, state in enumerate(machine.states)}
    ways = _joined(machine.transitions)
    right = _arcs((t for t in ways if _rise(t, order) == 0 or _rise(t, order) > 1), order, 1)
    left = _arcs((t for t in ways if _rise(t, order) < 0), order, -1)
    column = MARGIN + LANE * _width(left)
    size = (
        column + BOX_W + LANE * _width(right) + MARGIN,
        2 * MARGIN + len(order) * (BOX_H + GAP) - GAP,
    )
    image = Image.new("RGB", size, PAPER)
    canvas = _Canvas(ImageDraw.Draw(image), ImageFont.load_default(15), column)
    for state, at in order.items():
        canvas.box(at, state.value)
    for transition in ways:
        if _rise(transition, order) == 1:
            canvas.straight(order[transition.state], transition)
    ports = _ports([*left, *right], order)
    for arc in (*left, *right):
        canvas.arc(arc, *ports[arc])
    canvas.write_labels()
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _rise(transition: Transition, order: Order) -> int:
    return order[transition.to] - order[transition.state]


def _joined(transitions: Iterable[Transition]) -> list[Transition]:
    """Return one way a pair of states, with all labels: two could not be told apart."""
    labels: dict[tuple[InstanceState, InstanceState], list[str]] = {}
    for t in transitions:
        labels.setdefault((t.state, t.to), []).append(t.by or "")
    return [
        Transition(state, to, ", ".join(filter(None, names)) or None)
        for (state, to), names in labels.items()
    ]


def _arcs(transitions: Iterable[Transition], order: Order, side: int) -> list[_Arc]:
    """Return arcs, short ones inside, each in the innermost lane that is free along its length."""
    arcs: list[_Arc] = []
    for t in sorted(transitions, key=lambda t: abs(_rise(t, order))):
        top, bottom = sorted((order[t.state], order[t.to]))
        taken = {a.lane for a in arcs if a.top <= bottom and top <= a.bottom}
        lane = next(n for n in range(len(arcs) + 1) if n not in taken)
        arcs.append(_Arc(t, top, bottom, lane, side))
    return arcs


def _width(arcs: list[_Arc]) -> int:
    return max((arc.lane + 1 for arc in arcs), default=0)


def _ports(arcs: list[_Arc], order: Order) -> dict[_Arc, Point]:
    """Return the heights at which each arc leaves and enters; no two ends share one.

    At each side of a box the ends are spread evenly, in the order of where the other ends are.
    """
    ends: dict[tuple[int, int], list[tuple[int, int, _Arc, bool]]] = {}
    for arc in arcs:
        start, end = order[arc.transition.state], order[arc.transition.to]
        ends.setdefault((start, arc.side), []).append((end, -arc.lane, arc, True))
        ends.setdefault((end, arc.side), []).append((start, arc.lane, arc, False))
    heights: dict[tuple[_Arc, bool], int] = {}
    for (at, _), here in ends.items():
        ordered = sorted(here, key=lambda end: (end[0], end[1], not end[3]))
        for n, (_, _, arc, leaves) in enumerate(ordered, 1):
            heights[arc, leaves] = _top(at) + BOX_H * n // (len(ordered) + 1)
    return {arc: (heights[arc, True], heights[arc, False]) for arc in arcs}


class _Canvas:
    def __init__(self, draw: Any, font: Any, column: int) -> None:
        self._draw = draw
        self._font = font
        self._left = column
        self._right = column + BOX_W
        self._labels: list[tuple[Point, str, str]] = []

    def box(self, at: int, name: str) -> None:
        top = _top(at)
        corners = (self._left, top, self._right, top + BOX_H)
        self._draw.rounded_rectangle(corners, radius=8, fill=FILL, outline=INK, width=2)
        middle = ((self._left + self._right) // 2, top + BOX_H // 2)
        self._draw.text(middle, name, fill=INK, font=self._font, anchor="mm")

    def straight(self, at: int, transition: Transition) -> None:
        x, start, end = (self._left + self._right) // 2, _top(at) + BOX_H, _top(at + 1)
        self._line([(x, start + 1), (x, end - 2)], transition)
        self._draw.polygon([(x, end), (x - 6, end - 11), (x + 6, end - 11)], fill=INK)
        self._label((x + 10, (start + end) // 2), transition, "lm")

    def arc(self, arc: _Arc, start: int, end: int) -> None:
        """Draw a way around at one side, from the height where it leaves to where it enters."""
        side = arc.side
        edge = self._right if side > 0 else self._left
        x = edge + side * (LANE * arc.lane + LANE // 3)
        self._line(
            [(edge + side, start), (x, start), (x, end), (edge + 2 * side, end)], arc.transition
        )
        tip = [(edge + side, end), (edge + 12 * side, end - 6), (edge + 12 * side, end + 6)]
        self._draw.polygon(tip, fill=INK)
        middle = (x + 6 * side, (start + end) // 2)
        self._label(middle, arc.transition, "lm" if side > 0 else "rm")

    def _line(self, points: list[Point], transition: Transition) -> None:
        if transition.by is not None:
            self._draw.line(points, fill=INK, width=2)
            return
        for (x0, y0), (x1, y1) in pairwise(points):
            length = max(abs(x1 - x0), abs(y1 - y0), 1)
            for n in range(0, length, 10):
                dash = [
                    (x0 + (x1 - x0) * s // length, y0 + (y1 - y0) * s // length)
                    for s in (n, min(n + 5, length))
                ]
                self._draw.line(dash, fill=PALE, width=2)

    def _label(self, at: Point, transition: Transition, anchor: str) -> None:
        if transition.by is not None:
            self._labels.append((at, transition.by, anchor))

    def write_labels(self) -> None:
        """Write the labels last, each on clear ground, so that no line runs through one."""
        for at, text, anchor in self._labels:
            left, top, right, bottom = self._draw.textbbox(at, text, font=self._font, anchor=anchor)
            self._draw.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill=PAPER)
            self._draw.text(at, text, fill=INK, font=self._font, anchor=anchor)


def _top(at: int) -> int:
    return MARGIN + at * (BOX_H + GAP)
