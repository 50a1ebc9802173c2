"""A picture of a state machine: boxes and labelled arrows."""

import io
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nimbi.driver.states import StateMachine, Transition

# The picture: boxes in one column, ways between neighbours straight, all others as arcs at the
# sides, each in a lane of its own so that no two lie on each other.
BOX_W, BOX_H, GAP = 150, 44, 56
MARGIN, LANE = 30, 90
INK, PAPER, FILL, PALE = (33, 37, 41), (255, 255, 255), (222, 235, 247), (110, 110, 110)


@dataclass(frozen=True)
class _Arc:
    """A way that is drawn at a side; `lane` counts from the column outwards."""

    transition: Transition
    top: int
    bottom: int
    lane: int


def as_png(machine: StateMachine) -> bytes:
    """Return a picture; ways that a cloud goes by itself are dashed."""
    # Pillow takes 50 ms to import, and few ever look at the picture.
    from PIL import Image, ImageDraw, ImageFont

    order = {state: at for at, state in enumerate(machine.states)}
    straight = [t for t in machine.transitions if order[t.to] - order[t.state] == 1]
    right = _lanes([t for t in machine.transitions if order[t.to] - order[t.state] > 1], order)
    left = _lanes([t for t in machine.transitions if order[t.to] <= order[t.state]], order)
    column = MARGIN + LANE * (1 + _width(left))
    width = column + BOX_W + LANE * (1 + _width(right)) + MARGIN
    height = 2 * MARGIN + len(order) * (BOX_H + GAP) - GAP
    image = Image.new("RGB", (width, height), PAPER)
    canvas = _Canvas(ImageDraw.Draw(image), ImageFont.load_default(15), column)
    for state, at in order.items():
        canvas.box(at, state.value)
    for transition in _joined(straight):
        canvas.straight(order[transition.state], transition)
    for arc in right:
        canvas.arc(arc, order, 1)
    for arc in left:
        canvas.arc(arc, order, -1)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _joined(transitions: list[Transition]) -> list[Transition]:
    """Return one way a pair of states, with all labels: two could not be told apart."""
    labels: dict[tuple[Any, Any], list[str]] = {}
    for t in transitions:
        labels.setdefault((t.state, t.to), []).append(t.by or "")
    return [
        Transition(state, to, ", ".join(filter(None, names)) or None)
        for (state, to), names in labels.items()
    ]


def _lanes(transitions: list[Transition], order: dict[Any, int]) -> list[_Arc]:
    """Return arcs, short ones inside, each in the innermost lane that is free along its length."""
    arcs: list[_Arc] = []
    for t in sorted(_joined(transitions), key=lambda t: abs(order[t.to] - order[t.state])):
        top, bottom = sorted((order[t.state], order[t.to]))
        taken = {a.lane for a in arcs if a.top <= bottom and top <= a.bottom}
        lane = next(n for n in range(len(arcs) + 1) if n not in taken)
        arcs.append(_Arc(t, top, bottom, lane))
    return arcs


def _width(arcs: list[_Arc]) -> int:
    return max((arc.lane + 1 for arc in arcs), default=0)


class _Canvas:
    def __init__(self, draw: Any, font: Any, column: int) -> None:
        self._draw = draw
        self._font = font
        self._left = column
        self._right = column + BOX_W

    def box(self, at: int, name: str) -> None:
        top = _top(at)
        corners = (self._left, top, self._right, top + BOX_H)
        self._draw.rounded_rectangle(corners, radius=8, fill=FILL, outline=INK, width=2)
        middle = ((self._left + self._right) // 2, top + BOX_H // 2)
        self._draw.text(middle, name, fill=INK, font=self._font, anchor="mm")

    def straight(self, at: int, transition: Transition) -> None:
        x, start, end = (self._left + self._right) // 2, _top(at) + BOX_H, _top(at + 1)
        self._line([(x, start), (x, end - 2)], transition)
        self._draw.polygon([(x, end), (x - 6, end - 11), (x + 6, end - 11)], fill=INK)
        self._label((x + 10, (start + end) // 2), transition, "lm")

    def arc(self, arc: _Arc, order: dict[Any, int], side: int) -> None:
        """Draw a way around at one side: 1 is right, -1 left; a loop leaves and enters one box."""
        edge = self._right if side > 0 else self._left
        x = edge + side * LANE * (arc.lane + 1) - side * LANE // 3
        start, end = _port(order[arc.transition.state], -8), _port(order[arc.transition.to], 8)
        points = [(edge, start), (x, start), (x, end), (edge + 2 * side, end)]
        self._line(points, arc.transition)
        tip = [(edge, end), (edge + 11 * side, end - 6), (edge + 11 * side, end + 6)]
        self._draw.polygon(tip, fill=INK)
        self._label((x, (start + end) // 2), arc.transition, "mm")

    def _line(self, points: list[tuple[int, int]], transition: Transition) -> None:
        if transition.by is not None:
            self._draw.line(points, fill=INK, width=2)
            return
        for (x0, y0), (x1, y1) in pairwise(points):
            length = max(abs(x1 - x0), abs(y1 - y0), 1)
            for n in range(0, length, 10):
                part = min(n + 5, length)
                ends = [
                    (x0 + (x1 - x0) * s // length, y0 + (y1 - y0) * s // length) for s in (n, part)
                ]
                self._draw.line(ends, fill=PALE, width=2)

    def _label(self, at: tuple[int, int], transition: Transition, anchor: str) -> None:
        if transition.by is None:
            return
        left, top, right, bottom = self._draw.textbbox(
            at, transition.by, font=self._font, anchor=anchor
        )
        self._draw.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=PAPER)
        self._draw.text(at, transition.by, fill=INK, font=self._font, anchor=anchor)


def _top(at: int) -> int:
    return MARGIN + at * (BOX_H + GAP)


def _port(at: int, offset: int) -> int:
    return _top(at) + BOX_H // 2 + offset
