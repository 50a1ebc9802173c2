"""The profiles of AWS's own tools: `~/.aws/config` and `~/.aws/credentials`."""

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nimbi.model.errors import CloudError, Unauthorized

# Source: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html and file-location.html
CONFIG_VARIABLE = "AWS_CONFIG_FILE"
CREDENTIALS_VARIABLE = "AWS_SHARED_CREDENTIALS_FILE"
PROFILE_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
DEFAULT = "default"

Section = Mapping[str, str]


@dataclass(frozen=True, repr=False)
class Profiles:
    """All profiles of this user. `secrets` are those of the credentials file, whose keys win.

    `given` is the profile that the user named; None when they left it to the default.
    """

    given: str | None = None
    profiles: Mapping[str, Section] = field(default_factory=dict)
    secrets: Mapping[str, Section] = field(default_factory=dict)
    sso_sessions: Mapping[str, Section] = field(default_factory=dict)
    services: Mapping[str, Section] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The profile in use."""
        return self.given or DEFAULT

    @property
    def current(self) -> Section:
        """What the profile in use says. Raises Unauthorized when the user named one in vain."""
        if self.given is not None and not self.has(self.given):
            raise Unauthorized(f"AWS's files have no profile {self.given!r}")
        return self.profile(self.name)

    @property
    def current_or_nothing(self) -> Section:
        """What the profile in use says; nothing when it is in no file."""
        return self.profile(self.name)

    def has(self, name: str) -> bool:
        """Return whether there is such a profile in either file."""
        return name in self.profiles or name in self.secrets

    def profile(self, name: str) -> Section:
        """Return what both files say of a profile; nothing for one that is in none."""
        return {**self.profiles.get(name, {}), **self.secrets.get(name, {})}

    def service(self, name: str) -> Section:
        """Return what the profile in use says of a service (`ec2`), in its `services` section."""
        section = self.services.get(self.current_or_nothing.get("services", ""), {})
        return nested(section.get(name, ""))


def read_profiles(environment: Mapping[str, str], named: str | None = None) -> Profiles:
    """Return the profiles of this user; files that are not there are empty.

    `named` goes before `AWS_PROFILE`. Raises CloudError for files that cannot be read.
    """
    config = _read(environment.get(CONFIG_VARIABLE) or "~/.aws/config")
    secrets = _read(environment.get(CREDENTIALS_VARIABLE) or "~/.aws/credentials")
    from_environment = (environment[name] for name in PROFILE_VARIABLES if environment.get(name))
    return Profiles(
        given=named or next(from_environment, None),
        profiles=_kind(config, "profile") | _default(config),
        secrets=secrets,
        sso_sessions=_kind(config, "sso-session"),
        services=_kind(config, "services"),
    )


def nested(value: str) -> Section:
    """Return the settings that stand indented below another one."""
    lines = (line.partition("=") for line in value.splitlines() if "=" in line)
    return {key.strip().lower(): inner.strip() for key, _, inner in lines}


def _default(config: Mapping[str, Section]) -> dict[str, Section]:
    return {DEFAULT: config[DEFAULT]} if DEFAULT in config else {}


def _kind(config: Mapping[str, Section], kind: str) -> dict[str, Section]:
    found = {}
    for name, section in config.items():
        first, _, rest = name.partition(" ")
        if first == kind and rest.strip():
            found[rest.strip().strip("\"'")] = section
    return found


def _read(file: str) -> dict[str, Section]:
    # DEFAULT of configparser would give its values to all others; AWS has no such section.
    parser = configparser.RawConfigParser(default_section="\0", strict=False)
    try:
        parser.read(Path(file).expanduser(), encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError, RuntimeError):
        # The parser's own error shows the line, which may hold a secret.
        raise CloudError(f"{file} cannot be read: it is no file of AWS profiles") from None
    return {name: dict(parser[name]) for name in parser.sections()}
