"""Keys in the environment."""

from nimbi.drivers.ec2.logins.ground import Ground, time_of
from nimbi.drivers.ec2.logins.lease import Lease
from nimbi.model.errors import Unauthorized
from nimbi.wire.sigv4 import Keys

ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
TOKENS = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"


async def from_environment(ground: Ground) -> Lease | None:
    """Return the keys of the environment; None when it has none. Raises Unauthorized for a half."""
    told = ground.environment
    id, secret = told.get(ID), told.get(SECRET)
    if not id:
        return None
    if not secret:
        raise Unauthorized(f"{ID} is set, and {SECRET} is not")
    token = next((told[name] for name in TOKENS if told.get(name)), None)
    return Lease(Keys(id, secret, token), time_of(told.get(EXPIRATION), "the environment"))
