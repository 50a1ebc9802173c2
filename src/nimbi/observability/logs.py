"""Structured logs for programs (JSON) and for people (text), without secrets."""

import logging
import re
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

import msgspec
import structlog

from nimbi.gateway.audit import REQUEST_ID
from nimbi.observability.sink import Sink

Event = MutableMapping[str, Any]

# A second line of defence: our own code logs none of these, a library's message might.
SECRET_KEYS = frozenset(
    {
        "authorization",
        "credentials",
        "password",
        "pem",
        "private_key",
        "secret",
        "token",
        "user_data",
    }
)
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|authorization['\"]?\s*[=:][^\r\n]*"
    r"|\b(?:basic|bearer)\s+[\w+/=.~-]{4,}"
    r"|(?:passwd|password|user_data|user-data|secret|token|private_key)"
    r"['\"]?\s*[=:]\s*(?:'[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)",
    re.IGNORECASE | re.DOTALL,
)
HIDDEN = "[hidden]"

# Libraries that tell each step of their own; their warnings stay.
QUIET = ("asyncio", "uvicorn.error", "PIL", "multipart", "python_multipart")

Format = Literal["json", "text"]


def configure(sink: Sink, form: Format, *, verbose: bool) -> None:
    """Send all logs of this process to one sink, replacing what was configured before."""
    level = logging.DEBUG if verbose else logging.INFO
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    shared: list[Any] = [_named, strip, _placed, _traced, _without_secrets]
    render = _as_json if form == "json" else _as_text
    handler = _SinkHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            processors=[*shared, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("nimbi").setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def now() -> str:
    """Return the time as logs show it: 2026-01-31T12:00:00.123Z."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    return stamp.removesuffix("+00:00") + "Z"


def scrubbed(text: str) -> str:
    """Return a text with what looks like a secret replaced by [hidden]."""
    return SECRETS.sub(HIDDEN, text)


class _SinkHandler(logging.Handler):
    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._sink.write(self.format(record))
        except Exception as error:  # noqa: BLE001  a record that cannot be shown breaks nothing
            self._sink.write(
                f"a log record of {record.name} cannot be shown: {type(error).__name__}"
            )


def _named(_logger: Any, _method: str, event: Event) -> Event:
    record: logging.LogRecord | None = event.get("_record")
    if record is not None:
        event["level"] = record.levelname.lower()
        event["logger"] = record.name
    return event


def _placed(_logger: Any, _method: str, event: Event) -> Event:
    event["at"] = now()
    request_id = REQUEST_ID.get()
    if request_id and "request_id" not in event:
        event["request_id"] = request_id
    return event


def _traced(_logger: Any, _method: str, event: Event) -> Event:
    """Put an error's kind and places in, not its text: texts quote what a stranger sent."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = kind(error)
        event["places"] = places(error.__traceback__)
    return event


def kind(error: BaseException) -> str:
    """Return an error's class, with those of the errors that it came from."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < 5:
        names.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        cause = cause.__cause__
    return " from ".join(names)


def places(trace: TracebackType | None) -> list[str]:
    """Return where an error came from, the last places last: `nimbi/server.py:12 in start`."""
    frames = traceback.extract_tb(trace)[-12:]
    return [f"{_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]


def _short(file: str) -> str:
    return "/".join(file.split("/")[-3:])


def _without_secrets(_logger: Any, _method: str, event: Event) -> Event:
    for key, value in event.items():
        if key.lower() in SECRET_KEYS:
            event[key] = HIDDEN
        elif isinstance(value, str):
            event[key] = scrubbed(value)
        elif isinstance(value, bytes | bytearray):
            event[key] = f"{len(value)} bytes"
    return event


def _as_json(_logger: Any, _method: str, event: Event) -> str:
    first = {key: event.pop(key) for key in ("at", "level", "event") if key in event}
    return msgspec.json.encode({**first, **event}, enc_hook=str).decode()


def _as_text(_logger: Any, _method: str, event: Event) -> str:
    at, level, what = event.pop("at"), event.pop("level", "info"), event.pop("event", "")
    lines = event.pop("places", [])
    rest = " ".join(f"{key}={shown(value)}" for key, value in event.items())
    head = f"{at} {level:7} {shown(what, quote=False)} {rest}".rstrip()
    return "\n".join([head, *(f"    {line}" for line in lines)])


def shown(value: Any, *, quote: bool = True) -> str:
    """Return a value on one line, with nothing in it that a terminal would obey."""
    text = str(value)
    if not text.isprintable():
        text = text.encode("unicode_escape").decode()
    return repr(text) if quote and (" " in text or not text) else text
