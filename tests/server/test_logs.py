"""Logs are one line an event, for programs or people, and hold no secret."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from nimbi.gateway.audit import REQUEST_ID
from nimbi.observability.logs import Format, configure, scrubbed
from nimbi.observability.sink import Sink


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


class Log:
    """The log file of a test."""

    def __init__(self, file: Path, form: Format, *, verbose: bool = False) -> None:
        self.file = file
        configure(Sink(str(file)), form, verbose=verbose)

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]


def test_an_event_is_one_json_line_with_time_level_and_source(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "json")
    structlog.get_logger("nimbi.audit").info("call", driver="mock", seconds=0.5)
    (event,) = log.events()
    assert event.pop("at").endswith("Z")
    assert event == {
        "level": "info",
        "event": "call",
        "driver": "mock",
        "seconds": 0.5,
        "logger": "nimbi.audit",
    }


def test_a_library_s_record_has_the_same_shape(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "json")
    logging.getLogger("some.library").warning("%s is %d", "this", 1)
    (event,) = log.events()
    assert (event["event"], event["level"], event["logger"]) == (
        "this is 1",
        "warning",
        "some.library",
    )


def test_the_request_id_is_in_what_is_logged_during_a_request(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "json")
    token = REQUEST_ID.set("r-1")
    logging.getLogger("nimbi.gateway").warning("odd")
    REQUEST_ID.reset(token)
    assert log.events()[0]["request_id"] == "r-1"


def test_an_error_shows_its_kind_and_places_but_not_its_text(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "json")
    try:
        int("what a stranger sent")
    except ValueError:
        logging.getLogger("nimbi.gateway").exception("it broke")
    (event,) = log.events()
    assert event["error"] == "builtins.ValueError"
    assert "test_logs.py" in event["places"][-1]
    assert "stranger" not in log.file.read_text()


def test_text_is_for_people_on_one_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "text")
    structlog.get_logger("nimbi.audit").info("call", what="two words")
    (line,) = log.lines()
    assert line.endswith("info    call what='two words' logger=nimbi.audit")


def test_text_cannot_be_used_to_forge_a_line_or_to_steer_a_terminal(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "text")
    logging.getLogger("some.library").warning("a\nb\x1b[31mc")
    assert len(log.lines()) == 1
    assert "\x1b" not in log.file.read_text()


@pytest.mark.parametrize("verbose", [True, False])
def test_details_are_for_the_verbose(tmp_path: Path, verbose: bool) -> None:
    log = Log(tmp_path / "log", "json", verbose=verbose)
    logging.getLogger("nimbi.gateway").debug("a detail")
    assert bool(log.lines()) is verbose


def test_a_record_that_cannot_be_shown_breaks_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "json")
    logging.getLogger("some.library").warning("%d", "no number")
    assert log.lines() == ["a log record of some.library cannot be shown: TypeError"]


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Basic bW9jazpodW50ZXIy",
        "basic bW9jazpodW50ZXIy",
        "Bearer abc.def.ghi",
        "password=hunter2",
        "'password': 'hunter2 with blanks'",
        '"user_data": "IyEvYmluL3No"',
        "secret=hunter2&next",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nMIIE",
    ],
)
def test_what_looks_like_a_secret_is_hidden(secret: str) -> None:
    shown = scrubbed(f"before {secret} after")
    assert "[hidden]" in shown
    assert not any(part in shown for part in ("hunter2", "MIIE", "bW9j", "abc.def", "IyEv"))
    assert shown.startswith("before ")


def test_a_field_named_as_a_secret_is_hidden(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "json")
    structlog.get_logger("nimbi.audit").info("made", pem="MIIE", password="hunter2", data=b"abc")
    text = log.file.read_text()
    assert "MIIE" not in text
    assert "hunter2" not in text
    assert log.events()[0]["data"] == "3 bytes"


def test_a_new_log_file_is_for_its_user_alone(tmp_path: Path) -> None:
    Sink(str(tmp_path / "log"))
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
