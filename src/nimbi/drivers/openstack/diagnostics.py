"""What Nova sees of a server at its host: totals since the server was started."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nimbi.drivers.openstack.calls import quoted
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.metric_table import MIB, NS_PER_S, Samples, sample
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import CloudError, Unsupported

# Since this microversion all hypervisors tell it in the same words.
SAME_WORDS = "2.48"

NOT_RUNNING = 409

# By property: the list in the answer, and the member of each of its items.
# Source: https://docs.openstack.org/api-ref/compute/#show-server-diagnostics
TOTALS: Mapping[str, tuple[str, str]] = {
    "diskReadByte": ("disk_details", "read_bytes"),
    "diskReadRequestCount": ("disk_details", "read_requests"),
    "diskWriteByte": ("disk_details", "write_bytes"),
    "diskWriteRequestCount": ("disk_details", "write_requests"),
    "nicInputByte": ("nic_details", "rx_octets"),
    "nicInputPacket": ("nic_details", "rx_packets"),
    "nicOutputByte": ("nic_details", "tx_octets"),
    "nicOutputPacket": ("nic_details", "tx_packets"),
}


async def samples(session: Session, id: str) -> Mapping[str, Samples]:
    """Return a sample of each property that the host knows; none of a server that does not run."""
    if not await session.supports("compute", SAME_WORDS):
        raise Unsupported("this Nova tells what servers use in no common words", "metrics.get")
    try:
        told = await session.get("compute", f"/servers/{quoted(id)}/diagnostics")
    except OpenStackError as error:
        if error.status == NOT_RUNNING:
            return {}
        raise
    now = datetime.now(UTC)
    try:
        return {name: (sample(name, now, value),) for name, value in _values(told)}
    except (TypeError, AttributeError) as error:
        raise CloudError(f"Nova told of no diagnostics: {error}") from None


def _values(told: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    cpus: Sequence[Mapping[str, Any]] = told.get("cpu_details") or ()
    uptime_s, busy = told.get("uptime"), [cpu.get("time") for cpu in cpus]
    if uptime_s and busy and all(time is not None for time in busy):
        used_s = sum(time or 0 for time in busy) / NS_PER_S
        yield "cpuUtilization", min(100.0, 100.0 * used_s / (uptime_s * len(busy)))
    used_mib = (told.get("memory_details") or {}).get("used")
    if used_mib is not None:
        yield "memoryUsage", float(used_mib * MIB)
    for name, (group, member) in TOTALS.items():
        found = [item.get(member) for item in told.get(group) or ()]
        if found and all(value is not None for value in found):
            yield name, float(sum(found))
