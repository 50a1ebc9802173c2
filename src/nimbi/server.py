"""Puts a server together: settings in, one ASGI app out. The only one who sees all parts."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from nimbi.driver.capabilities import BY_ID
from nimbi.driver.measurements import Measurement
from nimbi.gateway.audit import CallEvent, Hooks
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.gateway.tickets import Tickets
from nimbi.model.errors import CloudError, CloudUnavailable
from nimbi.observability.ledger import AccessLog, Ledger
from nimbi.observability.logs import Format, configure
from nimbi.observability.metrics import CONTENT_TYPE, Families, Metrics
from nimbi.observability.requests import App, Message, Observed, Receive, Scope, Send
from nimbi.observability.sink import Sink
from nimbi.settings import ACCOUNTS, Settings, SettingsError
from nimbi.store.errors import StoreError

if TYPE_CHECKING:
    from nimbi.broker.openid.provider import OpenIdOptions
    from nimbi.broker.site import Broker, Options
    from nimbi.frontends.consoles.app import ConsolesApp

# Our own paths, beside those of the front ends.
HEALTH = "/healthz"
METRICS = "/metrics"
CONSOLES = "/consoles"
NATIVE = "/v1"
OWN = frozenset({HEALTH, METRICS})

# How often a worker tells the others how many sessions it has open.
TELL_EVERY_S = 5.0


def build_app(
    settings: Settings,
    registry: Registry | None = None,
    on_started: Callable[[], None] | None = None,
) -> App:
    """Return the whole server as an ASGI app; its lifespan opens and closes what it holds.

    Takes over this process's logging. `on_started` is called when all is loaded. Raises
    SettingsError or CloudError when no such server can be: an unknown driver, a log file that
    cannot be opened. Needs `settings.driver`.
    """
    sink = opened_log(settings)
    form = log_form(settings, sink)
    configure(sink, form, verbose=settings.verbose)
    metrics = Metrics()
    registry = registry or Registry()
    clouds = Clouds(
        registry,
        driver_settings(settings, registry),
        settings.state_path(),
        _hooks(settings, metrics),
    )
    access = AccessLog(sink, form) if settings.access_log else None
    ledger = Ledger(metrics, access, _frontend_of)
    broker = _Opened(settings, clouds, registry) if needs_broker(settings) else None
    fronts = _Fronts(
        _deltacloud(settings, registry, clouds) if "deltacloud" in settings.frontends else None,
        _consoles(settings, registry, clouds) if "consoles" in settings.frontends else None,
    )
    site = _Site(settings, fronts, clouds, broker, metrics, ledger, on_started)
    return Observed(site, ledger)


def opened_log(settings: Settings) -> Sink:
    """Return where logs go. Raises SettingsError when the file cannot be opened."""
    try:
        return Sink(settings.log)
    except OSError as error:
        raise SettingsError(f"{settings.log}: cannot log there: {error.strerror}") from error


def check_drivers(settings: Settings, registry: Registry) -> None:
    """Raise what is wrong with the drivers' parts of the settings, and with the default driver.

    Raises CloudError or SettingsError.
    """
    names = registry.names()
    for name in settings.drivers:
        if name not in names:
            raise SettingsError(
                f"[drivers.{name}]: there is no driver {name!r}; there are: {', '.join(names)}"
            )
    clouds = Clouds(registry, driver_settings(settings, registry), settings.state_path())
    named = {*settings.drivers, *([settings.driver] if settings.driver else [])}
    for name in sorted(named - {ACCOUNTS}):
        driver = registry.driver(name)
        clouds.limits(name)
        part = clouds.settings(name)
        if settings.workers > 1 and driver.in_process(part):
            raise SettingsError(
                f"{settings.workers} workers would see {settings.workers} different clouds: "
                f"{name} keeps its cloud in the memory of one process. Use one worker, or set a "
                f"storage that they share: [drivers.{name}] storage in the settings file"
            )


def driver_settings(settings: Settings, registry: Registry) -> Mapping[str, Mapping[str, Any]]:
    """Return each driver's part, with the server's time limit where the part has none."""
    parts: dict[str, dict[str, Any]] = {}
    for name in {*registry.names(), *settings.drivers}:
        part = dict(settings.drivers.get(name, {}))
        calls = part.get("calls", {})
        if isinstance(calls, dict):
            part["calls"] = {"deadline_s": settings.timeout_s, **calls}
        parts[name] = part
    return parts


def log_form(settings: Settings, sink: Sink) -> Format:
    """Return `json` or `text`."""
    if settings.log_format != "auto":
        return settings.log_format
    return "text" if sink.is_terminal else "json"


def _hooks(settings: Settings, metrics: Metrics) -> Hooks:
    log = structlog.get_logger("nimbi.audit")

    def on_call(event: CallEvent) -> None:
        metrics.call(event)
        if event.error_code is None and BY_ID[event.operation].is_safe and not settings.verbose:
            return
        log.info(
            "call",
            driver=event.driver,
            provider=event.provider,
            operation=event.operation,
            seconds=round(event.seconds, 6),
            error=event.error_code,
            attempts=event.attempts,
            session=event.session,
            request_id=event.request_id,
        )

    return Hooks(on_call)


def needs_broker(settings: Settings) -> bool:
    """Return whether the server remembers accounts: for its own API, or as a driver."""
    return "native" in settings.frontends or settings.driver == ACCOUNTS


def broker_options(settings: Settings) -> "Options":
    """Return what the settings say of the broker."""
    from nimbi.broker.health.mail import mail_server
    from nimbi.broker.site import Options
    from nimbi.store.place import url_of

    state = settings.state_path()
    mail = None
    if settings.mail_server is not None:
        try:
            mail = mail_server(
                settings.mail_server,
                settings.mail_from,
                settings.mail_user,
                settings.mail_password,
                settings.mail_ca_file,
            )
        except StoreError as error:
            raise SettingsError(str(error)) from error
    return Options(
        database=settings.database or url_of(state / "nimbi.db"),
        key_file=Path(settings.key_file) if settings.key_file else state / "nimbi.key",
        key_command=settings.key_command,
        environment=os.environ,
        private_endpoints=settings.private_endpoints,
        polls=settings.polls,
        mail=mail,
        openid=_openid(settings),
        audit_age=timedelta(days=settings.audit_days) if settings.audit_days else None,
    )


def _openid(settings: Settings) -> "OpenIdOptions | None":
    from nimbi.broker.openid.provider import OpenIdOptions, check_url

    if settings.openid_issuer is None or settings.openid_client_id is None:
        return None
    try:
        check_url(settings.openid_issuer, settings.openid_issuer)
    except CloudError as error:
        raise SettingsError(f"openid_issuer: {error}") from error
    return OpenIdOptions(
        issuer=settings.openid_issuer,
        client_id=settings.openid_client_id,
        client_secret=settings.openid_client_secret,
        scopes=settings.openid_scopes,
        creates=settings.openid_creates,
        tenant=settings.openid_tenant,
        groups_claim=settings.openid_groups_claim,
        hours=settings.openid_hours,
        callback=settings.openid_callback,
    )


class _Opened:
    """The broker, for as long as the server runs; what works with it asks for it then."""

    def __init__(self, settings: Settings, clouds: Clouds, registry: Registry) -> None:
        # Without accounts there is no database to load the code of.
        from nimbi.broker.driver import accounts_driver
        from nimbi.observability.figures import Figures

        self._options = broker_options(settings)
        self._clouds = clouds
        self._registry = registry
        self._broker: Broker | None = None
        self._figures = Figures()
        registry.add(accounts_driver(self.get))

    def get(self) -> "Broker":
        """Return the broker. Raises CloudUnavailable before it is open."""
        if self._broker is None:
            raise CloudUnavailable("the server is starting or stopping")
        return self._broker

    async def figures(self) -> Families:
        """Return the numbers that all servers on the database share; none while it is not open."""
        return await self._figures.read(self._broker.database) if self._broker is not None else ()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Broker"]:
        from nimbi.broker.site import open_broker

        async with open_broker(self._options, self._clouds, self._registry) as broker:
            self._broker = broker
            try:
                yield broker
            finally:
                self._broker = None


@dataclass
class _Fronts:
    """The front ends that were asked for; the native one from when the broker is open."""

    deltacloud: App | None
    consoles: "ConsolesApp | None"
    native: App | None = None

    def of(self, scope: Scope) -> App | None:
        if self.native is not None and is_below(NATIVE, scope["path"]):
            return self.native
        if self.consoles is not None and is_below(CONSOLES, scope["path"]):
            return self.consoles
        return self.deltacloud


class _Site:
    """Our own paths, and the front ends for all others."""

    def __init__(
        self,
        settings: Settings,
        fronts: _Fronts,
        clouds: Clouds,
        broker: _Opened | None,
        metrics: Metrics,
        ledger: Ledger,
        on_started: Callable[[], None] | None,
    ) -> None:
        self._settings = settings
        self._fronts = fronts
        self._clouds = clouds
        self._broker = broker
        self._refusal = ""
        self._metrics = metrics
        self._ledger = ledger
        self._on_started = on_started
        self._configured = {*settings.drivers, *([settings.driver] if settings.driver else [])}
        routes = [Route(HEALTH, _healthy)]
        if settings.metrics:
            routes.append(Route(METRICS, self._measured))
        self._router = Router(routes, redirect_slashes=False, lifespan=self._life)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Past the router, which would match our own two paths at each request of a front end.
        if scope["type"] == "lifespan":
            await self._router(scope, receive, self._in_plain_words(send))
            return
        front = self._fronts.of(scope) if scope["path"] not in OWN else None
        await (front or self._router)(scope, receive, send)

    def _in_plain_words(self, send: Send) -> Send:
        """Return what tells why the server cannot start, in place of where in the code."""

        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self._refusal:
                message["message"] = self._refusal
            await send(message)

        return sent

    async def _measured(self, _request: Request) -> Response:
        self._ledger.flush()
        self._count_open()
        measured = await asyncio.to_thread(self._measurements)
        families = await self._broker.figures() if self._broker is not None else ()
        return Response(self._metrics.render(measured, families), media_type=CONTENT_TYPE)

    def _measurements(self) -> list[Measurement]:
        # A cloud may be at work in another worker, so those of the settings are asked too.
        names = {*self._clouds.registry.loaded(), *self._configured}
        return [one for name in sorted(names) for one in self._clouds.measurements(name)]

    @asynccontextmanager
    async def _life(self, _app: object) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(self._metrics.close)
            stack.callback(self._ledger.flush)
            stack.push_async_callback(self._clouds.aclose)
            if self._broker is not None:
                try:
                    broker = await stack.enter_async_context(self._broker.opened())
                except (CloudError, StoreError) as error:
                    self._refusal = f"cannot start: {error}"
                    raise
                if "native" in self._settings.frontends:
                    self._fronts.native = _native(self._settings, broker)
            telling = asyncio.create_task(self._tell())
            if self._on_started is not None:
                self._on_started()
            try:
                yield
            finally:
                telling.cancel()
                with suppress(asyncio.CancelledError):
                    await telling

    async def _tell(self) -> None:
        while True:
            self._count_open()
            await asyncio.sleep(TELL_EVERY_S)

    def _count_open(self) -> None:
        self._metrics.sessions(self._clouds.open_sessions())
        if self._fronts.consoles is not None:
            self._metrics.consoles(self._fronts.consoles.open_consoles)


def _frontend_of(path: str) -> str:
    """Return the front end that answers a path; `server` for our own paths."""
    if is_below(NATIVE, path):
        return "native"
    if is_below(CONSOLES, path):
        return "consoles"
    return "server" if path in OWN else "deltacloud"


def is_below(place: str, path: str) -> bool:
    """Return whether a path is this place, or below it."""
    return path.startswith(f"{place}/") or path == place


async def _healthy(_request: Request) -> Response:
    return Response("ok", media_type="text/plain")


def _deltacloud(settings: Settings, registry: Registry, clouds: Clouds) -> App:
    # A front end that is not asked for costs no memory.
    from nimbi.frontends.deltacloud.app import DeltacloudApp

    return DeltacloudApp(
        clouds,
        registry,
        settings.driver or "",
        settings.provider,
        credentials=_login(settings),
        max_body_bytes=settings.max_body_bytes,
        realm_host=settings.realm_host,
    )


def _consoles(settings: Settings, registry: Registry, clouds: Clouds) -> "ConsolesApp":
    from nimbi.frontends.consoles.app import ConsolesApp

    return ConsolesApp(
        clouds,
        registry,
        settings.driver or "",
        settings.provider,
        folder=_tickets(settings),
        credentials=_login(settings),
        realm="consoles@" + settings.realm_host.replace("\\", "").replace('"', ""),
    )


def _native(settings: Settings, broker: "Broker") -> App:
    from nimbi.frontends.native.app import NativeApp

    has_consoles = "consoles" in settings.frontends
    return NativeApp(
        broker,
        max_body_bytes=settings.max_body_bytes,
        tickets=Tickets(_tickets(settings)) if has_consoles else None,
    )


def _tickets(settings: Settings) -> Path:
    """Return where tickets for consoles are kept."""
    return settings.state_path() / "consoles"


def _login(settings: Settings) -> tuple[str, str] | None:
    """Return the login for every request, when the server has one of its own."""
    return (settings.user, settings.password) if settings.user and settings.password else None
