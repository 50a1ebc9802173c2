"""The console log of a server, and where the cloud shows its screen."""

from nimbi.drivers.openstack.actions import act
from nimbi.drivers.openstack.calls import quoted
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.servers import one
from nimbi.drivers.openstack.session import Session
from nimbi.model.consoles import ConsoleLink
from nimbi.model.errors import CloudError

MOST_BYTES = 64 * 1024

# The screens that a cloud may show, the usual one first: what is spoken, and Nova's name for it.
# Source: https://docs.openstack.org/api-ref/compute/#create-remote-console
SCREENS = (("vnc", "novnc"), ("spice", "spice-html5"), ("mks", "webmks"), ("rdp", "rdp-html5"))

# How Nova says that its cloud shows no screens of that kind.
NOT_SHOWN = frozenset({400, 404, 501})


async def text_of(session: Session, id: str) -> bytes:
    """Return the end of a server's console log."""
    answer = await act(session, id, "os-getConsoleOutput", {}, changes=False)
    text = answer.get("output") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise CloudError("Nova gave a console log that is no text")
    return text.encode(errors="replace")[-MOST_BYTES:]


async def link_to(session: Session, id: str) -> ConsoleLink:
    """Return a URL of a server's screen, of the first kind that the cloud has."""
    refused: OpenStackError | None = None
    path = f"/servers/{quoted(id)}/remote-consoles"
    for protocol, kind in SCREENS:
        body = {"remote_console": {"protocol": protocol, "type": kind}}
        try:
            answer = await session.post("compute", path, body, changes=False)
        except OpenStackError as error:
            if error.status not in NOT_SHOWN:
                raise
            refused = refused or error
            continue
        told = one(answer, "remote_console")
        return ConsoleLink(url=str(told["url"]), protocol=protocol)
    raise refused or CloudError("Nova shows no screens")
