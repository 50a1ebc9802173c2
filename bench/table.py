"""One line for each thing measured: what, the goal, the value, whether it is met."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Line:
    """A measure. `goal` None: for information; `at_least`: which side of the goal is good."""

    what: str
    value: float
    unit: str = ""
    goal: float | None = None
    at_least: bool = True
    note: str = ""

    @property
    def is_met(self) -> bool:
        if self.goal is None:
            return True
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def show(lines: list[Line]) -> None:
    """Print all lines as one table."""
    table = Table(title="Nimbi against its peers, in this run", title_justify="left")
    for column in ("measure", "goal", "measured", "met", "both sides"):
        table.add_column(column, justify="left" if column in {"measure", "both sides"} else "right")
    for line in lines:
        table.add_row(line.what, _goal(line), _number(line.value, line.unit), _met(line), line.note)
    Console(width=130).print(table)


def _goal(line: Line) -> str:
    if line.goal is None:
        return ""
    return f"{'at least' if line.at_least else 'at most'} {_number(line.goal, line.unit)}"


def _met(line: Line) -> str:
    return "" if line.goal is None else "yes" if line.is_met else "NO"


def _number(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}".strip()
