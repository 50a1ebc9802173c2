"""Puts a server together: settings in, one ASGI app out. The only one who sees all parts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from nimbi.driver.capabilities import BY_ID
from nimbi.gateway.audit import CallEvent, Hooks
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.observability.ledger import AccessLog, Ledger
from nimbi.observability.logs import Format, configure
from nimbi.observability.metrics import CONTENT_TYPE, Metrics
from nimbi.observability.requests import App, Observed, Receive, Scope, Send
from nimbi.observability.sink import Sink
from nimbi.settings import Settings, SettingsError

# Our own paths, beside those of the front ends.
HEALTH = "/healthz"
METRICS = "/metrics"
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
    front = _deltacloud(settings, registry, clouds)
    return Observed(_Site(settings, front, clouds, metrics, ledger, on_started), ledger)


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
    for name in sorted({*settings.drivers, *([settings.driver] if settings.driver else [])}):
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


class _Site:
    """Our own paths, and the front end for all others."""

    def __init__(
        self,
        settings: Settings,
        front: App,
        clouds: Clouds,
        metrics: Metrics,
        ledger: Ledger,
        on_started: Callable[[], None] | None,
    ) -> None:
        self._front = front
        self._clouds = clouds
        self._metrics = metrics
        self._ledger = ledger
        self._on_started = on_started
        routes = [Route(HEALTH, _healthy)]
        if settings.metrics:
            routes.append(Route(METRICS, self._measured))
        self._router = Router(routes, redirect_slashes=False, lifespan=self._life)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Past the router, which would match our own two paths at each request of a front end.
        if scope["type"] == "http" and scope["path"] not in OWN:
            await self._front(scope, receive, send)
        else:
            await self._router(scope, receive, send)

    async def _measured(self, _request: Request) -> Response:
        self._ledger.flush()
        self._metrics.sessions(self._clouds.open_sessions())
        return Response(self._metrics.render(), media_type=CONTENT_TYPE)

    @asynccontextmanager
    async def _life(self, _app: object) -> AsyncIterator[None]:
        telling = asyncio.create_task(self._tell())
        if self._on_started is not None:
            self._on_started()
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
            await self._clouds.aclose()
            self._ledger.flush()
            self._metrics.close()

    async def _tell(self) -> None:
        while True:
            self._metrics.sessions(self._clouds.open_sessions())
            await asyncio.sleep(TELL_EVERY_S)


def _frontend_of(path: str) -> str:
    """Return the front end that answers a path; `server` for our own paths."""
    return "server" if path in OWN else "deltacloud"


async def _healthy(_request: Request) -> Response:
    return Response("ok", media_type="text/plain")


def _deltacloud(settings: Settings, registry: Registry, clouds: Clouds) -> App:
    # A front end that is not asked for costs no memory.
    from nimbi.frontends.deltacloud.app import DeltacloudApp

    login = (settings.user, settings.password) if settings.user and settings.password else None
    return DeltacloudApp(
        clouds,
        registry,
        settings.driver or "",
        settings.provider,
        credentials=login,
        max_body_bytes=settings.max_body_bytes,
        realm_host=settings.realm_host,
    )
