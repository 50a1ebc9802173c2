"""Charts of reports: a drawing (SVG), and bars of characters for a terminal."""

from collections.abc import Sequence
from decimal import Decimal
from xml.sax.saxutils import escape

from nimbi.model.metering import Report, ReportRow

WIDTH, ROW, LEFT, RIGHT, TOP = 900, 24, 300, 150, 48
MOST_BARS = 60
LONGEST_LABEL = 44
CENT = Decimal("0.01")
# Eighths of a character's width.
BLOCKS = " ▏▎▍▌▋▊▉█"

STYLE = "text{font:13px sans-serif;fill:#222}.title{font-weight:bold}.bar{fill:#3a6ea5}"


def svg(report: Report) -> bytes:
    """Return a drawing with a bar a row, in the report's order; of many rows the largest.

    It loads nothing from elsewhere, and what clouds and tenants called things is only text in it.
    """
    rows, left_out = _shown(report)
    most = max((row.amount for row in rows), default=Decimal(0))
    height = TOP + ROW * (len(rows) + (1 if left_out else 0)) + 16
    title = f"{report.begin:%Y-%m-%d} to {report.until:%Y-%m-%d}, by {', '.join(report.by)}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{_text(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="12" y="26">{_text(title)}</text>',
    ]
    for number, row in enumerate(rows):
        lines.append(_bar(row, TOP + number * ROW, most))
    if left_out:
        y = TOP + ROW * len(rows) + 16
        lines.append(f'<text x="12" y="{y}">and {left_out} smaller ones</text>')
    return "\n".join([*lines, "</svg>\n"]).encode()


def bar(value: Decimal, most: Decimal, width: int) -> str:
    """Return a bar of at most `width` characters; something that is not nothing is seen."""
    if value <= 0 or most <= 0:
        return ""
    eighths = max(1, int(value * width * 8 / most))
    return BLOCKS[8] * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")


def label(key: Sequence[str]) -> str:
    """Return what a row is about."""
    return " / ".join(part or "-" for part in key)


def _shown(report: Report) -> tuple[list[ReportRow], int]:
    if len(report.rows) <= MOST_BARS:
        return list(report.rows), 0
    largest = sorted(report.rows, key=lambda row: row.amount, reverse=True)[:MOST_BARS]
    return largest, len(report.rows) - MOST_BARS


def _bar(row: ReportRow, y: int, most: Decimal) -> str:
    room = WIDTH - LEFT - RIGHT
    width = float(row.amount * room / most) if most else 0.0
    name = label(row.key)
    short = name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
    # What is less than a cent is told as it is: no bar stands beside a nought.
    amount = f"{row.amount:,.2f}" if row.amount >= CENT or not row.amount else f"{row.amount:f}"
    told = f"{amount} {row.currency}" if row.currency else "no price"
    return (
        f'<text x="{LEFT - 10}" y="{y + 16}" text-anchor="end">{_text(short)}</text>'
        f'<rect class="bar" x="{LEFT}" y="{y + 4}" width="{width:.1f}" height="{ROW - 8}"/>'
        f'<text x="{LEFT + width + 8:.1f}" y="{y + 16}">{_text(told)}</text>'
    )


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else "\ufffd" for c in text))
