"""What Gnocchi keeps of a server, as Ceilometer has told it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from nimbi.drivers.openstack.calls import quoted
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.metric_table import MIB, NS_PER_S, Samples, sample
from nimbi.drivers.openstack.servers import one
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import CloudError

SPAN = timedelta(hours=1)
UNKNOWN = 404

INSTANCE, DISK, CARD = "instance", "instance_disk", "instance_network_interface"


@dataclass(frozen=True)
class Meter:
    """A metric of Ceilometer's: of which resources, and whether it is a total that only grows."""

    resource: str
    name: str
    grows: bool = True


# Source: https://docs.openstack.org/ceilometer/latest/admin/telemetry-measurements.html
METERS: Mapping[str, Meter] = {
    "cpuUtilization": Meter(INSTANCE, "cpu"),
    "memoryUsage": Meter(INSTANCE, "memory.usage", grows=False),
    "diskReadByte": Meter(DISK, "disk.device.read.bytes"),
    "diskReadRequestCount": Meter(DISK, "disk.device.read.requests"),
    "diskWriteByte": Meter(DISK, "disk.device.write.bytes"),
    "diskWriteRequestCount": Meter(DISK, "disk.device.write.requests"),
    "nicInputByte": Meter(CARD, "network.incoming.bytes"),
    "nicInputPacket": Meter(CARD, "network.incoming.packets"),
    "nicOutputByte": Meter(CARD, "network.outgoing.bytes"),
    "nicOutputPacket": Meter(CARD, "network.outgoing.packets"),
}

# The values of one metric, by time.
Values = Mapping[datetime, float]


async def samples(session: Session, id: str, cpus: float) -> Mapping[str, Samples]:
    """Return the samples of the last hour, by property; none of what Gnocchi does not know.

    Source: https://gnocchi.osci.io/rest.html
    """
    resources = await _resources(session, id)
    since = datetime.now(UTC) - SPAN

    async def of(property: str, meter: Meter) -> Samples:
        ids = [
            resource["metrics"][meter.name]
            for resource in resources.get(meter.resource, ())
            if meter.name in (resource.get("metrics") or {})
        ]
        series = await asyncio.gather(*(_values(session, metric, since) for metric in ids))
        parts = [_used(values) for values in series] if meter.grows else series
        return tuple(
            sample(property, at, _scaled(property, value, seconds, cpus))
            for at, value, seconds in _summed(parts)
        )

    found = await asyncio.gather(*(of(name, meter) for name, meter in METERS.items()))
    return dict(zip(METERS, found, strict=True))


async def _resources(session: Session, id: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Return what Gnocchi knows of a server, of its disks and of its cards."""
    try:
        whole = await session.get("metric", f"/resource/{INSTANCE}/{quoted(id)}")
    except OpenStackError as error:
        if error.status == UNKNOWN:
            return {}
        raise
    disks, cards = await asyncio.gather(*(_parts(session, kind, id) for kind in (DISK, CARD)))
    return {INSTANCE: [whole], DISK: disks, CARD: cards}


async def _parts(session: Session, kind: str, id: str) -> Sequence[Mapping[str, Any]]:
    wanted = {"=": {"instance_id": id}}
    try:
        found = await session.post("metric", f"/search/resource/{kind}", wanted, changes=False)
    except OpenStackError as error:
        # A Gnocchi that nobody has told of such resources.
        if error.status == UNKNOWN:
            return ()
        raise
    return [one({"part": part}, "part") for part in found or ()]


async def _values(session: Session, metric_id: str, since: datetime) -> Values:
    """Return the means of a metric, of the finest spans that are kept."""
    asked = {"aggregation": "mean", "start": since.isoformat(timespec="seconds")}
    try:
        told = await session.get("metric", f"/metric/{quoted(metric_id)}/measures", asked)
        finest = min((span for _, span, _ in told), default=0)
        return {
            datetime.fromisoformat(time).astimezone(UTC): float(value)
            for time, span, value in told
            if span == finest
        }
    except (TypeError, ValueError) as error:
        raise CloudError(f"Gnocchi gave measures that are none: {error}") from None
    except OpenStackError as error:
        if error.status == UNKNOWN:
            return {}
        raise


def _used(totals: Values) -> Values:
    """Return what a total has grown by since the time before; a server's restart sets it to 0."""
    times = sorted(totals)
    return {
        later: grown
        for earlier, later in pairwise(times)
        if (grown := totals[later] - totals[earlier]) >= 0
    }


def _summed(parts: Iterable[Values]) -> list[tuple[datetime, float, float]]:
    """Return the times, the sums of all parts then, and the seconds since the time before."""
    sums: dict[datetime, float] = {}
    for values in parts:
        for at, value in values.items():
            sums[at] = sums.get(at, 0.0) + value
    if not sums:
        return []
    times = sorted(sums)
    spans = [(b - a).total_seconds() for a, b in pairwise(times)]
    first = spans[:1] or [0.0]
    return [(at, sums[at], s) for at, s in zip(times, [*first, *spans], strict=True)]


def _scaled(property: str, value: float, seconds: float, cpus: float) -> float:
    if property == "memoryUsage":
        return value * MIB
    if property == "cpuUtilization":
        return min(100.0, 100.0 * value / NS_PER_S / (seconds * cpus)) if seconds else 0.0
    return value
