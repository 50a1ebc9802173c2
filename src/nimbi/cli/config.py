"""What a person settled for all commands: the file config.toml in the XDG configuration folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

KEYS: Mapping[str, str] = {
    "server": "The URL of the server.",
    "token_file": "The file with the token for it.",
    "account": "The account that is meant when a command names none.",
    "output": "How answers are told: table, json, yaml, csv or name.",
}


class ConfigError(Exception):
    """The file cannot be used; the text says why."""


@dataclass(frozen=True)
class Config:
    """What config.toml says; None where it says nothing. The keys are explained in KEYS."""

    server: str | None = None
    token_file: str | None = None
    account: str | None = None
    output: str | None = None


def config_file() -> Path:
    """Return where the file is, whether it is there or not."""
    return _folder("XDG_CONFIG_HOME", ".config") / "config.toml"


def state_dir() -> Path:
    """Return the server's directory of state, as settings tell it without a file or flags."""
    told = os.environ.get("NIMBI_STATE_DIR")
    return Path(told).expanduser().absolute() if told else _folder("XDG_STATE_HOME", ".local/state")


def cache_dir() -> Path:
    """Return the folder for what can be made again."""
    return _folder("XDG_CACHE_HOME", ".cache")


def read() -> Config:
    """Return what the file says, and NIMBI_ACCOUNT in the place of its account.

    Raises ConfigError for one that cannot be read or has unknown keys.
    """
    file = config_file()
    said = _parsed(file) if file.is_file() else {}
    for key, value in said.items():
        if key not in KEYS:
            raise ConfigError(f"{file}: unknown key {key!r}; there are: {', '.join(KEYS)}")
        if not isinstance(value, str):
            raise ConfigError(f"{file}: {key} must be text")
    found = Config(**{key: str(value) for key, value in said.items()})
    account = os.environ.get("NIMBI_ACCOUNT")
    return replace(found, account=account) if account else found


def write(config: Config) -> Path:
    """Write the file, for this user alone, and return where it is. Raises ConfigError."""
    file = config_file()
    told = {field.name: getattr(config, field.name) for field in fields(config)}
    lines = [f"{key} = {_quoted(value)}\n" for key, value in told.items() if value is not None]
    write_private(file, "".join(lines))
    return file


def write_private(file: Path, text: str) -> None:
    """Write a file that only this user can read (mode 0600), at once. Raises ConfigError."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
        draft.replace(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from error


def _folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    # The XDG specification: a path that is not absolute is to be ignored.
    if base and Path(base).is_absolute():
        return Path(base) / "nimbi"
    return Path.home() / default / "nimbi"


def _parsed(file: Path) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not a TOML file: {error}") from error


def _quoted(value: str) -> str:
    import json

    # A JSON string without a DEL is a TOML string.
    return json.dumps(value).replace("\x7f", "\\u007f")
