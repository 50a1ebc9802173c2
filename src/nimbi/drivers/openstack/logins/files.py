"""The files of OpenStack's own tools: `clouds.yaml`, `secure.yaml`, `clouds-public.yaml`."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger(__name__)

Section = dict[str, Any]

CONFIG_VARIABLE = "OS_CLIENT_CONFIG_FILE"
SECURE_VARIABLE = "OS_CLIENT_SECURE_FILE"
SUFFIXES = (".yaml", ".yml", ".json")
SITE_DIRS = ("/etc/xdg/openstack", "/etc/openstack")


@dataclass(frozen=True, repr=False)
class Files:
    """Entries by name: those of this user, and profiles that they may refer to."""

    clouds: Mapping[str, Section] = field(default_factory=dict)
    profiles: Mapping[str, Section] = field(default_factory=dict)


def read_files(environment: Mapping[str, str]) -> Files:
    """Return what the files of this user say; those that are not there say nothing.

    Of each kind the first file counts that can be read: one that the environment names, then those
    of the working directory, the user and the machine. What the secret file says goes before.
    Source: https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html
    """
    dirs = list(_dirs(environment))
    clouds = _first(_named(environment, CONFIG_VARIABLE), dirs, "clouds")
    secrets = _first(_named(environment, SECURE_VARIABLE), dirs, "secure")
    public = _first(None, dirs, "clouds-public")
    return Files(
        _entries(merged(clouds, secrets).get("clouds")), _entries(public.get("public-clouds"))
    )


def merged(below: Section, above: Mapping[str, Any]) -> Section:
    """Return two sections as one, where `above` says more or something else."""
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        found[key] = merged(old, value) if both and isinstance(old, dict) else value
    return found


def normal(section: Mapping[Any, Any]) -> Section:
    """Return a section with names written with underscores, on all levels."""
    return {
        str(key).replace("-", "_"): normal(value) if isinstance(value, dict) else value
        for key, value in section.items()
    }


def _dirs(environment: Mapping[str, str]) -> Iterator[Path]:
    home = environment.get("HOME") or "~"
    yield Path.cwd()
    own = environment.get("XDG_CONFIG_HOME")
    if own:
        yield Path(own) / "openstack"
    yield Path(home).expanduser() / ".config" / "openstack"
    yield from map(Path, SITE_DIRS)


def _named(environment: Mapping[str, str], variable: str) -> Path | None:
    named = environment.get(variable)
    return Path(named).expanduser() if named else None


def _first(named: Path | None, dirs: Iterable[Path], name: str) -> Section:
    places = [dir / f"{name}{suffix}" for dir in dirs for suffix in SUFFIXES]
    for path in ([named] if named else []) + places:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError:
            # The parser's own error shows the line, which may hold a secret.
            log.warning("%s is no YAML, and is left out", path)
            continue
        if isinstance(found, dict):
            return found
    return {}


def _entries(clouds: Any) -> dict[str, Section]:
    if not isinstance(clouds, dict):
        return {}
    return {str(name): normal(one) for name, one in clouds.items() if isinstance(one, dict)}
