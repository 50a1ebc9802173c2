"""The drivers that are installed, each imported at its first use."""

import logging
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nimbi.driver.capabilities import supported
from nimbi.driver.interface import Driver
from nimbi.model.errors import Invalid

GROUP = "nimbi.drivers"

# A name comes from a stranger's request; an error shows no more of it than this.
SHOWN = 60

AnyDriver = Driver[Any, Any]

log = logging.getLogger(__name__)


class UnknownDriver(Invalid):
    """No driver of that name is installed, or it cannot be loaded."""


class Registry:
    """Drivers by name: those given, else those of the entry point group `nimbi.drivers`."""

    def __init__(self, drivers: Mapping[str, AnyDriver] | None = None) -> None:
        self._loaded: dict[str, AnyDriver] = dict(drivers or {})
        self._entry_points: dict[str, EntryPoint] = (
            {point.name: point for point in entry_points(group=GROUP)} if drivers is None else {}
        )
        self._supported: dict[str, frozenset[str]] = {}

    def add(self, driver: AnyDriver) -> None:
        """Offer one driver more; one of the same name is not offered any more."""
        self._loaded[driver.name] = driver
        self._supported.pop(driver.name, None)

    def names(self) -> tuple[str, ...]:
        """Return the names of all drivers, sorted. Imports nothing."""
        return tuple(sorted({*self._loaded, *self._entry_points}))

    def loaded(self) -> tuple[str, ...]:
        """Return the names of the drivers that are imported already, sorted."""
        return tuple(sorted(self._loaded))

    def driver(self, name: str) -> AnyDriver:
        """Return a driver. Raises UnknownDriver when there is none or it cannot be loaded."""
        driver = self._loaded.get(name)
        if driver is None:
            driver = self._loaded[name] = self._load(name)
        return driver

    def supported(self, name: str) -> frozenset[str]:
        """Return the ids of the operations that a driver supports. Raises as `driver` does."""
        found = self._supported.get(name)
        if found is None:
            found = self._supported[name] = supported(self.driver(name))
        return found

    def _load(self, name: str) -> AnyDriver:
        point = self._entry_points.get(name)
        if point is None:
            raise UnknownDriver(
                f"there is no driver {name[:SHOWN]!r}; there are: {', '.join(self.names())}"
            )
        try:
            driver = point.load()
        except Exception as error:
            log.exception("driver %s cannot be loaded", name)
            raise UnknownDriver(
                f"driver {name!r} cannot be loaded{_missing(name, error)}"
            ) from error
        if not isinstance(driver, Driver):
            raise UnknownDriver(f"driver {name!r} cannot be loaded: it is not a Driver")
        return driver


def _missing(name: str, error: Exception) -> str:
    # Other errors may show paths of this machine, so they go to the log only.
    if isinstance(error, ModuleNotFoundError):
        return f": the module {error.name!r} is missing; pip install 'nimbi[{name}]' may bring it"
    return ""
