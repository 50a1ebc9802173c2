"""Ids, markers and names that hostile or careless callers send."""

import pytest

_PLAIN = {
    "plain": "no-such-thing",
    "blank": " ",
    "digits": "4294967296",
    "negative": "-1",
    "unicode": "ünïcödé-☃",
    "astral": "𝕟𝕠-𝕤𝕦𝕔𝕙",
    "right-to-left": "\u202eeulav\u202c",
    "combining": "e\u0301" * 20,
    "slash": "no/such/thing",
    "dots": "../../etc/passwd",
    "one-dot": ".",
    "two-dots": "..",
    "nul": "no\x00such",
    "newline": "no\r\nX-Injected: yes",
    "percent": "%00%2e%2e%2f",
    "query": "a?b=c&d#e",
    "quotes": "'\"; --",
    "markup": "<script>alert(1)</script>",
    "surrogate": "\ud800",
    "long": "x" * 5000,
    "empty": "",
}

# Values of no thing in any cloud, as parameters: `@pytest.mark.parametrize("id", ODD_IDS)`.
ODD_IDS = [pytest.param(value, id=label) for label, value in _PLAIN.items()]

# A shorter table, where each value costs a call that is not cheap on every cloud.
FEW_ODD_IDS = [
    pytest.param(_PLAIN[label], id=label)
    for label in ("plain", "unicode", "dots", "nul", "newline", "long", "empty")
]

# Markers that no page ever gave.
ODD_MARKERS = [
    pytest.param(_PLAIN[label], id=label)
    for label in ("plain", "negative", "unicode", "dots", "nul", "long", "empty")
]

# Names that a cloud may keep or refuse as Invalid, but must not change.
ODD_NAMES = [
    pytest.param(value, id=label)
    for label, value in {
        "plain": "nimbi-name",
        "capitals": "Nimbi-Name",
        "spaces": " two  words ",
        "unicode": "ünïcödé-☃",
        "astral": "𝕟𝕚𝕞𝕓𝕚",
        "combining": "e\u0301te\u0301",
        "dots": "../nimbi",
        "slash": "nimbi/name",
        "nul": "nimbi\x00name",
        "newline": "nimbi\nname",
        "markup": "<b>nimbi</b>&amp;",
        "long": "nimbi" * 100,
    }.items()
]
