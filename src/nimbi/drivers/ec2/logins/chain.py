"""The order in which AWS's own tools look for keys."""

from nimbi.drivers.ec2.logins.container import from_container
from nimbi.drivers.ec2.logins.environment import from_environment
from nimbi.drivers.ec2.logins.ground import Ground
from nimbi.drivers.ec2.logins.instance import from_instance
from nimbi.drivers.ec2.logins.lease import Lease
from nimbi.drivers.ec2.logins.roles import from_profile, from_web_identity
from nimbi.model.errors import Unauthorized


async def found(ground: Ground, named: str | None) -> Lease:
    """Return the first keys that there are. Raises Unauthorized when there are none.

    A profile that is `named` by the settings goes before the environment, one that the environment
    names does not.
    Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
    """
    lease = (
        (await from_environment(ground) if named is None else None)
        or (await from_web_identity(ground) if named is None else None)
        or await _of_files(ground)
        or await from_container(ground)
        or await from_instance(ground)
    )
    if lease is None:
        raise Unauthorized(
            "this machine has no login to AWS: neither in the environment nor in AWS's files, and "
            "no role of a container or an instance"
        )
    return lease


async def _of_files(ground: Ground) -> Lease | None:
    profiles = ground.profiles
    if profiles.given is None and not profiles.has(profiles.name):
        return None
    return await from_profile(ground, profiles.name)
