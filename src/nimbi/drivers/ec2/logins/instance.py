"""Keys of the role of the instance on which this program runs."""

import asyncio

from nimbi.drivers.ec2.logins.ground import Ground, refused, told
from nimbi.drivers.ec2.logins.lease import Lease
from nimbi.model.errors import CloudUnavailable
from nimbi.wire.http import Answer, HttpError, Request
from nimbi.wire.sigv4 import encoded

# Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
DISABLED = "AWS_EC2_METADATA_DISABLED"
ENDPOINT, MODE = "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
ENDPOINTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
TOKEN_PATH = "/latest/api/token"  # noqa: S105  a path
ROLE_PATH = "/latest/meta-data/iam/security-credentials/"
TOKEN_S = 21600
# Elsewhere than on an instance nobody answers, and nothing says so.
TOKEN_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 10.0
WHAT = "the metadata service of this instance"


async def from_instance(ground: Ground) -> Lease | None:
    """Return the keys of the instance's role; None where there is no such service, or no role.

    Asked by tokens only (IMDSv2), so that nobody can have this program ask in their place.
    """
    if ground.environment.get(DISABLED, "").lower() == "true":
        return None
    base = _base(ground)
    token = await _token(ground, base)
    if token is None:
        return None
    headers = {"X-aws-ec2-metadata-token": token}
    roles = await _asked(ground, Request("GET", base + ROLE_PATH, headers))
    if roles.status == 404:
        return None
    role = roles.body.decode(errors="replace").strip().partition("\n")[0]
    url = base + ROLE_PATH + encoded(role)
    answer = await _asked(ground, Request("GET", url, headers))
    if answer.status != 200:
        raise refused(WHAT, answer.status, "")
    return told(answer.body, WHAT)


def _base(ground: Ground) -> str:
    section = ground.profiles.current_or_nothing
    given = ground.environment.get(ENDPOINT) or section.get("ec2_metadata_service_endpoint")
    if given:
        return given.rstrip("/")
    mode = ground.environment.get(MODE) or section.get("ec2_metadata_service_endpoint_mode") or ""
    return ENDPOINTS.get(mode.lower(), ENDPOINTS["ipv4"])


async def _token(ground: Ground, base: str) -> str | None:
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_S)}
    try:
        async with asyncio.timeout(TOKEN_TIMEOUT_S):
            answer = await ground.http.send(Request("PUT", base + TOKEN_PATH, headers))
    except (TimeoutError, HttpError):
        return None
    return answer.body.decode(errors="replace").strip() if answer.status == 200 else None


async def _asked(ground: Ground, request: Request) -> Answer:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await ground.http.send(request)
    except (TimeoutError, HttpError):
        raise CloudUnavailable(f"{WHAT} did not answer") from None
    if answer.status not in {200, 404}:
        raise refused(WHAT, answer.status, "")
    return answer
