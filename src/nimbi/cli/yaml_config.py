"""The original server's configuration file: a map of drivers to provider, user and password."""

from pathlib import Path
from typing import Any

import yaml

from nimbi.settings import SettingsError

KEYS = ("provider", "user", "password")


def read_config(file: Path) -> dict[str, dict[str, str]]:
    """Return what the file says for each driver: `{"mock": {"user": "…"}}`. Raises SettingsError.

    A key that is a Ruby symbol, `:mock`, is refused, as the original does.
    """
    try:
        read: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # The parser's text quotes the file, which holds passwords.
        raise SettingsError(f"{file}: not a YAML file") from error
    entries = _map(read if read is not None else {}, str(file))
    return {
        driver: _entry(_map(entry, f"{file}: {driver}"), f"{file}: {driver}")
        for driver, entry in entries.items()
    }


def _entry(entry: dict[str, Any], where: str) -> dict[str, str]:
    for key, value in entry.items():
        if key not in KEYS:
            raise SettingsError(f"{where}: unknown key {key!r}; there are: {', '.join(KEYS)}")
        if not isinstance(value, str | int | float):
            raise SettingsError(f"{where}: {key} must be text")
    return {key: str(value) for key, value in entry.items()}


def _map(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where} must be a map")
    for key in value:
        if not isinstance(key, str) or key.startswith(":"):
            raise SettingsError(f"{where}: the key {key!r} must be a string, not a symbol")
    return value
