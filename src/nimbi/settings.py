"""What a server is told: defaults, then a file, then the environment, then flags."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

# Front ends that this version has; a server may offer any of them.
FRONTENDS = ("deltacloud", "consoles", "native")
# Who serves one cloud to Deltacloud's clients need not pay for a database.
USUAL_FRONTENDS = ("deltacloud", "consoles")
# The driver behind which are the accounts: who names it has a database anyway, and gets them all.
ACCOUNTS = "nimbi"


class SettingsError(Exception):
    """A setting is unknown or wrong; the text says which and where it came from."""


def _meta(text: str, env: str = "", flags: str = "", metavar: str = "", **limits: Any) -> Meta:
    """Return what is told about one setting: its meaning, its variable and its flags."""
    return Meta(
        description=text,
        extra={"env": env, "flags": flags, "metavar": metavar},
        **limits,
    )


class Settings(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """All settings of `nimbi serve`: the part `[server]` of a settings file.

    `drivers` are the parts `[drivers.NAME]`, as read: each driver checks its own at first use.
    """

    driver: Annotated[
        str | None,
        _meta(
            "The cloud for requests that name no driver of their own.",
            "API_DRIVER",
            "-i --driver",
            "DRIVER",
        ),
    ] = None
    provider: Annotated[
        str | None,
        _meta(
            "The driver's provider (a region, an endpoint) for requests that name none.",
            "API_PROVIDER",
            "-P --provider",
            "PROVIDER",
        ),
    ] = None
    host: Annotated[
        str, _meta("The name or address to listen on.", "API_HOST", "-r --host", "HOST")
    ] = "localhost"
    port: Annotated[
        int,
        _meta(
            "The port to listen on; 0 takes a free one.",
            "API_PORT",
            "-p --port",
            "PORT",
            ge=0,
            le=65535,
        ),
    ] = 3001
    frontends: Annotated[
        tuple[str, ...],
        _meta(
            f"The protocols to speak, a list with commas: {', '.join(FRONTENDS)}. The last, "
            "the API of accounts, needs a database; it is spoken when it is named here, or when "
            "the driver is nimbi.",
            "API_FRONTEND",
            "-f --frontend",
            "NAME",
        ),
    ] = USUAL_FRONTENDS
    tls_cert: Annotated[
        str | None,
        _meta(
            "PEM file of the certificate and its chain: serve HTTPS. Needs the key too.",
            "NIMBI_TLS_CERT",
            "--tls-cert",
            "FILE",
        ),
    ] = None
    tls_key: Annotated[
        str | None,
        _meta("PEM file of the certificate's key.", "NIMBI_TLS_KEY", "--tls-key", "FILE"),
    ] = None
    workers: Annotated[
        int, _meta("How many processes serve.", "NIMBI_WORKERS", "--workers", "N", ge=1, le=256)
    ] = 1
    user: Annotated[
        str | None,
        _meta(
            "With the password: the login for every request, whatever the client sends.",
            "API_USER",
        ),
    ] = None
    password: Annotated[str | None, _meta("The password to the user.", "API_PASSWORD")] = None
    log: Annotated[
        str | None,
        _meta("Append logs to this file instead of standard error.", "API_LOG", "--log", "FILE"),
    ] = None
    log_format: Annotated[
        Literal["auto", "json", "text"],
        _meta(
            "Logs as JSON lines or as text for people; auto: text on a terminal.",
            "NIMBI_LOG_FORMAT",
            "--log-format",
        ),
    ] = "auto"
    access_log: Annotated[
        bool,
        _meta("Log one line for each request.", "NIMBI_ACCESS_LOG", "--access-log/--no-access-log"),
    ] = True
    verbose: Annotated[
        bool,
        _meta(
            "Log each call to a cloud too, also those that only read.",
            "API_VERBOSE",
            "-V --verbose",
        ),
    ] = False
    metrics: Annotated[
        bool,
        _meta("Answer /metrics, which needs no login.", "NIMBI_METRICS", "--metrics/--no-metrics"),
    ] = True
    timeout_s: Annotated[
        float,
        _meta(
            "How many seconds one call to a cloud may take, unless the driver's part says else.",
            "API_TIMEOUT",
            "--timeout",
            "SECONDS",
            gt=0,
        ),
    ] = 60.0
    shutdown_s: Annotated[
        int,
        _meta(
            "How many seconds requests in flight have to finish at shutdown.",
            "NIMBI_SHUTDOWN_TIMEOUT",
            "--shutdown-timeout",
            "SECONDS",
            ge=0,
        ),
    ] = 30
    max_body_bytes: Annotated[
        int,
        _meta(
            "The largest form that a request may bring, its files aside, in bytes.",
            "NIMBI_MAX_BODY_BYTES",
            "--max-body-bytes",
            "BYTES",
            ge=1024,
        ),
    ] = 16 * 1024 * 1024
    realm_host: Annotated[
        str, _meta("The name of this host in the question for a login.", "HOSTNAME")
    ] = "localhost"
    forwarded_allow_ips: Annotated[
        str | None,
        _meta(
            "Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses, "
            "networks, or * for any.",
            "NIMBI_FORWARDED_ALLOW_IPS",
            "--forwarded-allow-ips",
            "LIST",
        ),
    ] = None
    state_dir: Annotated[
        str | None,
        _meta(
            "The directory of all state, made with mode 0700; without it, nimbi in the "
            "XDG state directory.",
            "NIMBI_STATE_DIR",
            "--state-dir",
            "DIR",
        ),
    ] = None
    database: Annotated[
        str | None,
        _meta(
            "Where accounts and what they hold are kept: postgresql://USER@HOST/NAME, or "
            "sqlite:///FILE; without it, nimbi.db in the state directory.",
            "NIMBI_DATABASE",
            "--database",
            "URL",
        ),
    ] = None
    key_file: Annotated[
        str | None,
        _meta(
            "The file with the operator's keys, which encrypt stored logins; without it, and "
            "without NIMBI_KEY, nimbi.key in the state directory.",
            "NIMBI_KEY_FILE",
            "--key-file",
            "FILE",
        ),
    ] = None
    key_command: Annotated[
        str | None,
        _meta(
            "A command that prints the operator's keys, instead of a file.",
            "NIMBI_KEY_COMMAND",
        ),
    ] = None
    private_endpoints: Annotated[
        bool,
        _meta(
            "Let accounts and webhooks name addresses of private networks and of this machine.",
            "NIMBI_PRIVATE_ENDPOINTS",
            "--private-endpoints/--no-private-endpoints",
        ),
    ] = False
    polls: Annotated[
        bool,
        _meta(
            "Keep the inventory of all accounts fresh in the background.",
            "NIMBI_POLLS",
            "--polls/--no-polls",
        ),
    ] = True
    mail_server: Annotated[
        str | None,
        _meta(
            "The server that sends alerts as e-mail: smtp://HOST[:PORT] with STARTTLS, smtps://… "
            "with TLS from the beginning, smtp+plain://… with neither; without it, none is sent.",
            "NIMBI_MAIL_SERVER",
        ),
    ] = None
    mail_from: Annotated[str, _meta("The address that e-mail comes from.", "NIMBI_MAIL_FROM")] = (
        "nimbi@localhost"
    )
    mail_user: Annotated[str | None, _meta("The login to the mail server.", "NIMBI_MAIL_USER")] = (
        None
    )
    mail_password: Annotated[
        str | None, _meta("The password to that login.", "NIMBI_MAIL_PASSWORD")
    ] = None
    mail_ca_file: Annotated[
        str | None,
        _meta(
            "PEM file of the authorities that the mail server's certificate may come from; "
            "without it, the system's.",
            "NIMBI_MAIL_CA_FILE",
        ),
    ] = None
    openid_issuer: Annotated[
        str | None,
        _meta(
            "Let people sign in through this OpenID Connect provider: its issuer, an https URL.",
            "NIMBI_OPENID_ISSUER",
        ),
    ] = None
    openid_client_id: Annotated[
        str | None,
        _meta("The name that the provider knows this server by.", "NIMBI_OPENID_CLIENT_ID"),
    ] = None
    openid_client_secret: Annotated[
        str | None,
        _meta("The secret to that name, where it has one.", "NIMBI_OPENID_CLIENT_SECRET"),
    ] = None
    openid_scopes: Annotated[
        str, _meta("What the provider is asked for.", "NIMBI_OPENID_SCOPES")
    ] = "openid profile email"
    openid_creates: Annotated[
        bool,
        _meta(
            "Make a user, without any role, of whoever signs in for the first time.",
            "NIMBI_OPENID_CREATES",
        ),
    ] = False
    openid_tenant: Annotated[
        str,
        _meta("The id of the domain or project of such users.", "NIMBI_OPENID_TENANT"),
    ] = "root"
    openid_groups_claim: Annotated[
        str | None,
        _meta(
            "The claim that names groups: who signs in is in those of its domain that have such "
            "names, for as long as the provider says so.",
            "NIMBI_OPENID_GROUPS_CLAIM",
        ),
    ] = None
    openid_hours: Annotated[
        float,
        _meta("How many hours such a sign-in lasts.", "NIMBI_OPENID_HOURS", gt=0, le=8784),
    ] = 12.0
    openid_callback: Annotated[
        str | None,
        _meta(
            "The URL of /v1/openid/callback as browsers reach it; without it, as requests tell.",
            "NIMBI_OPENID_CALLBACK",
        ),
    ] = None
    audit_days: Annotated[
        int,
        _meta(
            "How many days it is kept who did what; 0 keeps it for ever.",
            "NIMBI_AUDIT_DAYS",
            ge=0,
            le=36525,
        ),
    ] = 400
    drivers: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        # The drivers' parts may hold secrets, and which they are is the drivers' knowledge.
        return f"Settings(driver={self.driver!r}, host={self.host!r}, port={self.port!r}, …)"

    def state_path(self) -> Path:
        """Return the directory of all state, absolute; it need not exist."""
        if self.state_dir:
            return Path(self.state_dir).expanduser().absolute()
        base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(base).expanduser().absolute() / "nimbi"


class Setting(msgspec.Struct, frozen=True):
    """One setting, as people see it. `flags` are those of `nimbi serve`, none for secrets."""

    key: str
    text: str
    env: str
    flags: tuple[str, ...]
    metavar: str
    type: Any
    default: Any

    @property
    def is_switch(self) -> bool:
        return self.type is bool


def _setting(info: msgspec.structs.FieldInfo, hint: Any) -> Setting:
    kind, meta = get_args(hint)
    extra = meta.extra
    flags = tuple(extra["flags"].split())
    return Setting(
        info.name, meta.description, extra["env"], flags, extra["metavar"], kind, info.default
    )


HINTS = get_type_hints(Settings, include_extras=True)
SETTINGS: Mapping[str, Setting] = {
    info.name: _setting(info, HINTS[info.name])
    for info in msgspec.structs.fields(Settings)
    if get_origin(HINTS[info.name]) is Annotated
}


def load(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Return the settings: defaults, then the file, then the environment, then flags that are set.

    A flag is by the setting's key; None means that it was not given. An empty variable counts as
    not set. Raises SettingsError.
    """
    values, drivers = read_file(file) if file else ({}, {})
    values |= _from_environment(os.environ if environment is None else environment)
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    values |= {key: _checked(key, value, "flags", strict=False) for key, value in given.items()}
    if values.get("driver") == ACCOUNTS:
        values.setdefault("frontends", FRONTENDS)
    return _whole(Settings(**values, drivers=drivers))


def read_file(file: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the part `[server]`, checked, and the drivers' parts. Raises SettingsError."""
    try:
        read = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not a TOML file: {error}") from error
    for key in read:
        if key not in {"server", "drivers"}:
            raise SettingsError(
                f"{file}: unknown part [{key}]{_nearest(key, ['server', 'drivers'])}"
            )
    server = _table(read, "server", f"{file}: [server]")
    where = f"{file}: [server]"
    values = {key: _checked(key, value, where, strict=True) for key, value in server.items()}
    parts = _table(read, "drivers", f"{file}: [drivers]")
    return values, {name: _table(parts, name, f"{file}: [drivers.{name}]") for name in parts}


def _table(parent: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise SettingsError(f"{where} must be a table")
    return value


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    return {
        setting.key: _checked(
            setting.key, environment[setting.env], f"the variable {setting.env}", strict=False
        )
        for setting in SETTINGS.values()
        if environment.get(setting.env)
    }


def _checked(key: str, value: Any, where: str, *, strict: bool) -> Any:
    if key not in SETTINGS:
        raise SettingsError(f"{where}: unknown key {key!r}{_nearest(key, list(SETTINGS))}")
    if key == "frontends":
        value = _names(value)
    try:
        return msgspec.convert(value, HINTS[key], strict=strict)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {key}: {error}") from error


def _names(value: Any) -> Any:
    """Return a list with commas, or several of them, as one tuple without repetitions."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return value
    return tuple(dict.fromkeys(n.strip() for part in parts for n in part.split(",") if n.strip()))


def _whole(settings: Settings) -> Settings:
    """Check what one setting alone does not show."""
    for name in settings.frontends:
        if name not in FRONTENDS:
            raise SettingsError(f"unknown front end {name!r}; there are: {', '.join(FRONTENDS)}")
    if not settings.frontends:
        raise SettingsError(f"no front end is named; there are: {', '.join(FRONTENDS)}")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingsError("HTTPS needs both a certificate (tls_cert) and its key (tls_key)")
    if bool(settings.openid_issuer) != bool(settings.openid_client_id):
        raise SettingsError("sign-ins need both openid_issuer and openid_client_id")
    if bool(settings.user) != bool(settings.password):
        raise SettingsError("a login for every request needs both a user and a password")
    return settings


def _nearest(key: str, keys: list[str]) -> str:
    near = difflib.get_close_matches(key, keys, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(keys))}"
