"""Service quality: checks, objectives, alerts and silences."""

from nimbi.client.core import Blocking, Looping, call
from nimbi.client.flow import Flow
from nimbi.client.requests import with_query
from nimbi.client.resources import _asked, _path, _Resource
from nimbi.model.alerts import Alert, AlertState, NewSilence, Silence
from nimbi.model.checks import HealthCheck, NewCheck, TakenAction
from nimbi.model.objectives import NewObjective, Objective

CHECKS = "/v1/checks"
OBJECTIVES = "/v1/objectives"
ALERTS = "/v1/alerts"
SILENCES = "/v1/silences"


class _Checks(_Resource):
    """What is looked after, and what was found."""

    @call
    def all(self, account: str | None = None) -> Flow[tuple[HealthCheck, ...]]:
        """Return all checks, or those of one account, the oldest first."""
        pairs = [] if account is None else [("account", account)]
        return self._all(with_query(CHECKS, pairs), HealthCheck)

    @call
    def get(self, id: str) -> Flow[HealthCheck]:
        """Return one check. Raises NotFound."""
        return self._get(_path(CHECKS, id), HealthCheck)

    @call
    def create(self, new: NewCheck) -> Flow[HealthCheck]:
        """Look after an instance or an account from now on. Raises NotFound for neither."""
        return self._told("POST", CHECKS, HealthCheck, _asked(new))

    @call
    def actions(self, id: str) -> Flow[tuple[TakenAction, ...]]:
        """Return what was done when it failed, the last first. Raises NotFound."""
        return self._all(_path(CHECKS, id, "actions"), TakenAction)

    @call
    def enable(self, id: str) -> Flow[HealthCheck]:
        """Make it again, as if it were new. Raises NotFound."""
        return self._told("POST", _path(CHECKS, id, "enable"), HealthCheck)

    @call
    def disable(self, id: str) -> Flow[HealthCheck]:
        """Make it no more; its alert is over. Raises NotFound."""
        return self._told("POST", _path(CHECKS, id, "disable"), HealthCheck)

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove a check and its results. Raises NotFound."""
        return self._removed(_path(CHECKS, id))


class _Objectives(_Resource):
    """How good checks are meant to be, and how good they are."""

    @call
    def all(self) -> Flow[tuple[Objective, ...]]:
        """Return all objectives and how they stand, the oldest first."""
        return self._all(OBJECTIVES, Objective)

    @call
    def get(self, id: str) -> Flow[Objective]:
        """Return one objective and how it stands. Raises NotFound."""
        return self._get(_path(OBJECTIVES, id), Objective)

    @call
    def create(self, new: NewObjective) -> Flow[Objective]:
        """Say how many results of some checks are to be good. Raises NotFound for no check."""
        return self._told("POST", OBJECTIVES, Objective, _asked(new))

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove an objective; its alerts are over. Raises NotFound."""
        return self._removed(_path(OBJECTIVES, id))


class _Alerts(_Resource):
    """What is wrong, and since when."""

    @call
    def all(
        self, states: tuple[AlertState, ...] = (), source: str | None = None, limit: int = 100
    ) -> Flow[tuple[Alert, ...]]:
        """Return up to `limit` (1 to 1000) alerts in these states, or any, the latest first."""
        pairs = [("limit", str(limit))]
        if states:
            pairs.append(("state", ",".join(state.value for state in states)))
        if source is not None:
            pairs.append(("source", source))
        return self._all(with_query(ALERTS, pairs), Alert)

    @call
    def get(self, id: str) -> Flow[Alert]:
        """Return one alert. Raises NotFound."""
        return self._get(_path(ALERTS, id), Alert)


class _Silences(_Resource):
    """Times in which nobody is told of some alerts."""

    @call
    def all(self) -> Flow[tuple[Silence, ...]]:
        """Return the silences, the one that ends last first."""
        return self._all(SILENCES, Silence)

    @call
    def create(self, new: NewSilence) -> Flow[Silence]:
        """Tell nobody of some alerts for a time, and do nothing for what they are about."""
        return self._told("POST", SILENCES, Silence, _asked(new))

    @call
    def destroy(self, id: str) -> Flow[None]:
        """End a silence. Raises NotFound."""
        return self._removed(_path(SILENCES, id))


class Checks(_Checks, Looping):
    """What is looked after; its methods are awaited."""


class SyncChecks(_Checks, Blocking):
    """What is looked after."""


class Objectives(_Objectives, Looping):
    """How good checks are meant to be; its methods are awaited."""


class SyncObjectives(_Objectives, Blocking):
    """How good checks are meant to be."""


class Alerts(_Alerts, Looping):
    """What is wrong; its methods are awaited."""


class SyncAlerts(_Alerts, Blocking):
    """What is wrong."""


class Silences(_Silences, Looping):
    """Times in which nobody is told; its methods are awaited."""


class SyncSilences(_Silences, Blocking):
    """Times in which nobody is told."""
