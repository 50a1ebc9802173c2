"""The choice of a media type by the Accept header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Format:
    """One way to write an answer: `media_types[0]` is what is sent, the others are taken for it.

    Each is only itself: to compare them by their fields would cost more than the choice.
    """

    name: str
    media_types: tuple[str, ...]


@dataclass(frozen=True)
class _Preference:
    quality: float
    exactness: int  # 2 for a named type, 1 for `text/*`, 0 for `*/*`


def choose(accept: str, offered: tuple[Format, ...], any_order: tuple[str, ...]) -> Format | None:
    """Return the offered format that the header likes best, None when it takes none.

    Of equally liked formats a named one is preferred to one that a wildcard matches; after that
    counts the order of `offered`, or, where only `*/*` matches, `any_order` (names of formats).
    An empty header takes the first one.
    """
    if not accept.strip():
        return offered[0]
    wanted = _parsed(accept)
    best: Format | None = None
    best_rank: tuple[float, int, int] | None = None
    for position, candidate in enumerate(offered):
        liking = _liking(candidate, wanted)
        if liking is None or liking.quality <= 0:
            continue
        order = position if liking.exactness else any_order.index(candidate.name)
        rank = (liking.quality, liking.exactness, -order)
        if best_rank is None or rank > best_rank:
            best, best_rank = candidate, rank
    return best


def _liking(candidate: Format, wanted: Sequence[tuple[str, float]]) -> _Preference | None:
    named = [quality for media, quality in wanted if media in candidate.media_types]
    if named:
        return _Preference(max(named), 2)
    group = candidate.media_types[0].partition("/")[0] + "/*"
    for pattern, exactness in ((group, 1), ("*/*", 0)):
        matching = [quality for media, quality in wanted if media == pattern]
        if matching:
            return _Preference(max(matching), exactness)
    return None


def _parsed(accept: str) -> list[tuple[str, float]]:
    parsed = []
    for element in accept.split(","):
        media, *parameters = (part.strip().lower() for part in element.split(";"))
        quality = _quality(parameters)
        if media and quality is not None:
            parsed.append((media, quality))
    return parsed


def _quality(parameters: Sequence[str]) -> float | None:
    """Return the weight, 1 when none is given, None for one that cannot be understood."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return None
            return weight if 0 <= weight <= 1 else None
    return 1.0
