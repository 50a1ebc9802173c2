"""Keys of the role of a container."""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from nimbi.drivers.ec2.logins.ground import Ground, told
from nimbi.drivers.ec2.logins.lease import Lease
from nimbi.model.errors import Unauthorized
from nimbi.wire.http import Request

# Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
RELATIVE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
FULL = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105  a name
TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105  a name
HOST = "http://169.254.170.2"
# ECS and EKS; elsewhere a token would cross a network in the clear.
PLAIN_HOSTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23"})
WHAT = "the service for roles of containers"


async def from_container(ground: Ground) -> Lease | None:
    """Return the keys of the container's role; None when the environment tells of none.

    Raises Unauthorized for an address that keys may not come from.
    """
    environment = ground.environment
    if relative := environment.get(RELATIVE):
        url = f"{HOST}/{relative.removeprefix('/')}"
    elif url := environment.get(FULL, ""):
        _check(url)
    else:
        return None
    headers = {"Accept": "application/json"}
    if token := _token(environment.get(TOKEN_FILE), environment.get(TOKEN)):
        headers["Authorization"] = token
    answer = await ground.fetched(Request("GET", url, headers), WHAT)
    return told(answer.body, WHAT)


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_good = parts.scheme == "https" or (parts.scheme == "http" and _is_near(host))
    except ValueError:
        is_good = False
    if not is_good:
        raise Unauthorized(f"{FULL} must be https, or an address of this machine")


def _is_near(host: str) -> bool:
    if host in PLAIN_HOSTS or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _token(file: str | None, token: str | None) -> str | None:
    if not file:
        return token
    try:
        # It is replaced from time to time, so it is read each time.
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise Unauthorized(f"the file of {TOKEN_FILE} cannot be read") from None
