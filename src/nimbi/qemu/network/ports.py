"""Free ports of the host's loopback for what guests publish."""

import random
import socket
from collections.abc import Collection, Mapping, Sequence

from nimbi.qemu.errors import Capacity
from nimbi.qemu.guests.record import ADDRESS

FIRST, LAST = 20000, 31999
"""Below the range from which Linux takes ports for outgoing connections (32768 on)."""

TRIES = 2000


def free(port: int) -> bool:
    """Say whether nothing listens there."""
    with socket.socket() as probe:
        # As QEMU does: the remains of closed connections do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def choose(guest_ports: Sequence[int], taken: Collection[int]) -> dict[int, int]:
    """Return {port of the guest: free port of the host}, none of them in `taken`.

    Raises Capacity when no more are found.
    """
    source = random.SystemRandom()
    used = set(taken)
    chosen: dict[int, int] = {}
    for _ in range(TRIES):
        if len(chosen) == len(guest_ports):
            return chosen
        port = source.randint(FIRST, LAST)
        if port not in used and free(port):
            chosen[guest_ports[len(chosen)]] = port
            used.add(port)
    if len(chosen) == len(guest_ports):
        return chosen
    raise Capacity(f"no free port of {ADDRESS} between {FIRST} and {LAST}")


def renewed(ports: Mapping[int, int], taken: Collection[int]) -> dict[int, int]:
    """Return the same ports, each that is in use now replaced by a free one."""
    lost = [guest for guest, host in ports.items() if host in taken or not free(host)]
    return {**ports, **choose(lost, {*taken, *ports.values()})} if lost else dict(ports)
