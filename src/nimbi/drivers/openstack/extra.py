"""The cloud's own answer, read only when somebody looks."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


class Extra(Mapping[str, Any]):
    """A JSON object as a mapping. Most are never looked at, so nothing is made before."""

    __slots__ = ("_made", "_raw")

    def __init__(self, raw: msgspec.Raw) -> None:
        self._raw: msgspec.Raw | None = raw
        self._made: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return f"Extra({self._all()!r})"

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (self._all(),)

    def _all(self) -> dict[str, Any]:
        if self._raw is not None:
            self._made = msgspec.json.decode(self._raw)
            self._raw = None
        return self._made
