"""Metrics of the local cloud: what each guest uses of this machine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nimbi.driver.compute import Metrics
from nimbi.driver.interface import Place
from nimbi.driver.measurements import COUNTER, GAUGE, Measurement
from nimbi.drivers.local.session import OfSession
from nimbi.model.metrics import Metric, Sample, Series, Unit
from nimbi.model.page import Page
from nimbi.qemu import Guest
from nimbi.qemu.guests.measuring import Measured, Used, running
from nimbi.qemu.guests.measuring import used as used_between


@dataclass(frozen=True)
class Property:
    """One thing that is measured, by Deltacloud's name for it; None where it cannot be."""

    name: str
    unit: Unit
    value: Callable[[Used], float | None]


def _disk(name: str) -> Callable[[Used], float]:
    return lambda used: used.disk[name]


def _network(name: str) -> Callable[[Used | Measured], float | None]:
    return lambda of: None if of.network is None else of.network[name]


PROPERTIES = (
    Property("cpuUtilization", Unit.PERCENT, lambda used: used.cpu_percent),
    Property("memoryUsage", Unit.BYTES, lambda used: used.memory_bytes),
    Property("diskReadByte", Unit.BYTES, _disk("read_bytes")),
    Property("diskReadRequestCount", Unit.COUNT, _disk("reads")),
    Property("diskWriteByte", Unit.BYTES, _disk("write_bytes")),
    Property("diskWriteRequestCount", Unit.COUNT, _disk("writes")),
)
NETWORK = (
    Property("nicInputByte", Unit.BYTES, _network("in_bytes")),
    Property("nicInputPacket", Unit.COUNT, _network("in_packets")),
    Property("nicOutputByte", Unit.BYTES, _network("out_bytes")),
    Property("nicOutputPacket", Unit.COUNT, _network("out_packets")),
)
"""Only where guests have cards that the host can see: not on the rung `user`."""


class LocalMetrics(OfSession, Metrics):
    """What guests have used each minute of the last hour, and up to now when one is asked for.

    A sample says what was used since the one before.
    """

    async def page(self, marker: str | None, limit: int) -> Page[Metric]:
        guests = await self.cloud.hypervisor.guests()
        found = [_told(guest, [], self._properties) for guest in guests]
        return self.paged(found, marker, limit, lambda metric: metric.id)

    async def get(self, id: str) -> Metric:
        guest = await self.cloud.hypervisor.guest(id)
        used = used_between(await self.cloud.hypervisor.measured(id))
        return _told(guest, used, self._properties)

    @property
    def _properties(self) -> tuple[Property, ...]:
        return (*PROPERTIES, *(NETWORK if self.cloud.hypervisor.network.fabric else ()))


def _told(guest: Guest, used: list[Used], properties: tuple[Property, ...]) -> Metric:
    series = tuple(Series(name=each.name, samples=_samples(used, each)) for each in properties)
    return Metric(id=guest.id, entity=guest.name or guest.id, series=series)


def _samples(used: list[Used], each: Property) -> tuple[Sample, ...]:
    values = ((one, each.value(one)) for one in used)
    return tuple(
        Sample(at=one.at, minimum=value, maximum=value, average=value, unit=each.unit)
        for one, value in values
        if value is not None
    )


Value = Callable[[Measured], float | None]

TOTALS: tuple[tuple[str, str, Value], ...] = (
    ("cpu_seconds", "Seconds of processor time.", lambda m: m.cpu_s),
    ("disk_read_bytes", "Bytes read from disks.", lambda m: m.disk["read_bytes"]),
    ("disk_written_bytes", "Bytes written to disks.", lambda m: m.disk["write_bytes"]),
    ("disk_reads", "Reads from disks.", lambda m: m.disk["reads"]),
    ("disk_writes", "Writes to disks.", lambda m: m.disk["writes"]),
    ("network_received_bytes", "Bytes received.", _network("in_bytes")),
    ("network_sent_bytes", "Bytes sent.", _network("out_bytes")),
)
"""What a guest has used since its start: name, text, value."""

LEVELS: tuple[tuple[str, str, Value], ...] = (
    ("cpus", "Processors.", lambda m: m.cpus),
    ("memory_bytes", "Memory that the guest has.", lambda m: m.guest_memory_bytes),
    ("resident_bytes", "Memory of the host that it uses.", lambda m: m.memory_bytes),
)
"""What a guest has now."""

KINDS = ((COUNTER, TOTALS), (GAUGE, LEVELS))


def measurements(_settings: object, place: Place) -> Iterator[Measurement]:
    """Yield the numbers of each running guest, as they were within the last minutes."""
    for record, measured in running(place.state_dir):
        labels = {"driver": "local", "guest": record.id}
        for kind, table in KINDS:
            for name, text, value in table:
                if (found := value(measured)) is not None:
                    yield Measurement(f"guest_{name}", text, kind, labels, found)
