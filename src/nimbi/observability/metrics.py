"""Numbers about a running server, for Prometheus, from one process or from several."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from nimbi.driver.measurements import COUNTER, Measurement
from nimbi.gateway.audit import CallEvent

# Numbers that are read elsewhere, each with its name, text and samples.
Families: TypeAlias = Sequence[Metric]

# Workers share their numbers through files here; prometheus_client reads the variable at import.
MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUEST_BUCKETS = (0.0005, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0)
CALL_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# Any other method a stranger makes up counts as one.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
OTHER = "other"

SWITCHING = 101

# A machine has some hundred guests at most, each with some ten numbers.
MOST_MEASUREMENTS = 20_000


class Metrics:
    """All numbers of one worker.

    Labels come from closed sets only (front ends, methods, status codes, drivers, operations,
    error codes), so that no stranger can make their number grow.
    """

    def __init__(self) -> None:
        # When a series began is of no use to readers of rates, and doubles the number of lines.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "nimbi_http_requests",
            "Requests answered.",
            ["frontend", "method", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "nimbi_http_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["frontend"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._calls = Counter(
            "nimbi_cloud_calls",
            "Calls to clouds; error is empty when the call went well.",
            ["driver", "operation", "error"],
            registry=self.registry,
        )
        self._call_seconds = Histogram(
            "nimbi_cloud_call_seconds",
            "Seconds of a call to a cloud, with its repetitions.",
            ["driver"],
            buckets=CALL_BUCKETS,
            registry=self.registry,
        )
        self._sessions = Gauge(
            "nimbi_sessions_open",
            "Logins to clouds that are kept open.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self._consoles = Gauge(
            "nimbi_consoles_open",
            "Consoles of instances that are open.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self._request_counts: dict[tuple[str, str, int], int] = {}
        self._call_counts: dict[tuple[str, str, str | None], int] = {}
        self._request_times: dict[str, list[float]] = {}
        self._call_times: dict[str, list[float]] = {}
        self._directory = os.environ.get(MULTIPROCESS_DIR)
        if self._directory:
            forget_the_dead(self._directory)

    def request(self, frontend: str, method: str, status: int, seconds: float) -> None:
        """Note a request, until `flush` counts it.

        This is on the path of each one, where the library's locks would be a tenth of the work.
        """
        key = (frontend, method if method in METHODS else OTHER, status)
        self._request_counts[key] = self._request_counts.get(key, 0) + 1
        if status == SWITCHING:
            # A WebSocket lasts as long as people look at it.
            return
        self._request_times.setdefault(frontend, []).append(seconds)

    def call(self, event: CallEvent) -> None:
        """Note a call to a cloud; as quick as `request`."""
        key = (event.driver, event.operation, event.error_code)
        self._call_counts[key] = self._call_counts.get(key, 0) + 1
        self._call_times.setdefault(event.driver, []).append(event.seconds)

    def flush(self) -> None:
        """Count what was noted, for this worker and the others to see."""
        requests, self._request_counts = self._request_counts, {}
        for (frontend, method, status), count in requests.items():
            self._requests.labels(frontend, method, str(status)).inc(count)
        calls, self._call_counts = self._call_counts, {}
        for (driver, operation, error), count in calls.items():
            self._calls.labels(driver, operation, error or "").inc(count)
        _observe(self._request_times, self._request_seconds)
        _observe(self._call_times, self._call_seconds)

    def sessions(self, count: int) -> None:
        """Tell how many sessions this worker has open, every few seconds."""
        self.flush()
        self._sessions.set(count)

    def consoles(self, count: int) -> None:
        """Tell how many consoles this worker has open."""
        self._consoles.set(count)

    def render(self, measurements: Iterable[Measurement] = (), families: Families = ()) -> bytes:
        """Return the numbers of all workers as Prometheus reads them, and what drivers measured.

        `families` are told as they are.
        """
        self.flush()
        measured = generate_latest(_Measured(measurements))
        return self._of_workers() + measured + generate_latest(_Families(families))

    def _of_workers(self) -> bytes:
        if not self._directory:
            return generate_latest(self.registry) + generate_latest(_Processes([os.getpid()]))
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self._directory)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + generate_latest(_Processes(living(self._directory)))

    def close(self) -> None:
        """Take the worker's share out of what counts the living."""
        self.flush()
        if self._directory:
            mark_process_dead(os.getpid(), self._directory)  # type: ignore[no-untyped-call]


def _observe(gathered: dict[str, list[float]], histogram: Histogram) -> None:
    for label, seconds in gathered.items():
        observe = histogram.labels(label).observe
        for one in seconds:
            observe(one)
    gathered.clear()


def living(directory: str) -> list[int]:
    """Return the ids of the workers that share a directory and still run; always our own."""
    return [pid for pid in _workers(directory) if pid == os.getpid() or _runs(pid)]


def forget_the_dead(directory: str) -> None:
    """Take what workers that were killed told of themselves out of the sums of the living."""
    for pid in _workers(directory):
        if not _runs(pid):
            mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]


def _workers(directory: str) -> list[int]:
    # prometheus_client's names: KIND_PID.db
    ids = (file.stem.rpartition("_")[2] for file in Path(directory).glob("*.db"))
    return sorted({int(pid) for pid in ids if pid.isdecimal()} | {os.getpid()})


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


class _Measured(Collector):
    """What drivers tell of their clouds, each number under our prefix; bounded in number."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self._measurements = measurements

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for one in islice(self._measurements, MOST_MEASUREMENTS):
            name = f"nimbi_{one.name}"
            family = families.get(name)
            if family is None:
                family = families[name] = Metric(name, one.text, one.kind)
            suffix = "_total" if one.kind == COUNTER else ""
            family.add_sample(f"{name}{suffix}", dict(one.labels), one.value)
        yield from families.values()


class _Families(Collector):
    """What is known already."""

    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


class _Processes(Collector):
    """CPU time, memory and open files of several processes, summed; the earliest start."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        collectors = [ProcessCollector(registry=None, pid=partial(str, pid)) for pid in self._pids]
        by_name: dict[str, list[Metric]] = {}
        for collector in collectors:
            for metric in collector.collect():
                by_name.setdefault(metric.name, []).append(metric)
        for name, metrics in by_name.items():
            values = [metric.samples[0].value for metric in metrics]
            whole = min(values) if name == "process_start_time_seconds" else sum(values)
            first = metrics[0].samples[0]
            metrics[0].samples = [first._replace(value=whole)]
            yield metrics[0]
