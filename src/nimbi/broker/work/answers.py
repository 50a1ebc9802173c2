"""Whether a machine is of use: it greets by ssh, answers by HTTP, or its agent says so."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping

from nimbi.driver.compute import Instances
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import CloudError, Unsupported
from nimbi.model.instances import AddressKind, Endpoint, Instance
from nimbi.model.work import AnswerKind, Answers
from nimbi.wire.destinations import Reach, is_within

# For one connection: a machine that boots swallows what is sent to it.
CONNECT_S = 3.0
LINE_BYTES = 1024
REACHED = frozenset({AddressKind.IPV4, AddressKind.IPV6, AddressKind.HOSTNAME})
SSH_PORT, HTTP_PORT = 22, 80

# RFC 4253, section 4.2; RFC 9112, section 4.
GREETING = re.compile(rb"SSH-(2\.0|1\.99)-")
STATUS = re.compile(rb"HTTP/1\.[01] ([1-4][0-9][0-9])")
# Source: cloudinit/cmd/main.py, what cloud-init says when it has done all.
CLOUD_INIT = re.compile(rb"Cloud-init v\. \S+ finished at")
# The last lines of a console matter.
CONSOLE_BYTES = 64 * 1024


async def answers(cloud: Cloud, instance: Instance, wanted: Answers, reach: Reach) -> bool:
    """Return whether an instance answers now. Raises Unsupported when that can never be seen."""
    return await KINDS[wanted.kind](cloud, instance, wanted, reach)


async def _agent(cloud: Cloud, instance: Instance, wanted: Answers, _reach: Reach) -> bool:
    if not cloud.supports(Instances.console):
        raise Unsupported("this cloud shows no console, on which the agent could be read")
    try:
        told = (await cloud.instances.console(instance.id))[-CONSOLE_BYTES:]
    except Unsupported:
        raise
    except CloudError:
        return False
    if wanted.text is not None:
        return wanted.text.encode() in told
    return CLOUD_INIT.search(told) is not None


async def _ssh(_cloud: Cloud, instance: Instance, wanted: Answers, reach: Reach) -> bool:
    own = instance.login.port if instance.login else None
    for address, port in _places(instance, wanted.port or own, SSH_PORT):
        line = await _first_line(address, port, b"", reach)
        if GREETING.match(line):
            return True
    return False


async def _http(_cloud: Cloud, instance: Instance, wanted: Answers, reach: Reach) -> bool:
    for address, port in _places(instance, wanted.port, HTTP_PORT):
        host = f"[{address}]" if ":" in address else address
        asked = f"GET {wanted.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        if STATUS.match(await _first_line(address, port, asked.encode(), reach)):
            return True
    return False


def _places(instance: Instance, port: int | None, usual: int) -> list[tuple[str, int]]:
    """Return where to try, public addresses first.

    An address with a port of its own is that of one service: where no port is wanted, it counts.
    """
    told: list[Endpoint] = [*instance.public_addresses, *instance.private_addresses]
    found = [one for one in told if one.kind in REACHED]
    places = [(one.address, port or one.port or usual) for one in found]
    return list(dict.fromkeys(places))


async def _first_line(address: str, port: int, asked: bytes, reach: Reach) -> bytes:
    """Return the first line that is said, nothing when nobody says one in time."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(CONNECT_S):
            numeric = await _numeric(address, port, reach)
            if numeric is None:
                return b""
            reader, writer = await asyncio.open_connection(numeric, port, limit=LINE_BYTES)
            if asked:
                writer.write(asked)
            return await reader.readline()
    except (OSError, TimeoutError, ValueError, UnicodeError):
        return b""
    finally:
        if writer is not None:
            writer.close()


async def _numeric(address: str, port: int, reach: Reach) -> str | None:
    """Return the IP address that is connected to, None for one out of reach.

    Clouds tell addresses, and a hostile one may tell any.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    return next((str(i[4][0]) for i in found if is_within(str(i[4][0]), reach)), None)


Answering = Callable[[Cloud, Instance, Answers, Reach], Awaitable[bool]]

KINDS: Mapping[AnswerKind, Answering] = {
    AnswerKind.SSH: _ssh,
    AnswerKind.HTTP: _http,
    AnswerKind.AGENT: _agent,
}
