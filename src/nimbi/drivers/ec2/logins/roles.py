"""Keys of profiles: their own, and those of roles that are taken with the keys of others."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from nimbi.drivers.ec2.logins.container import from_container
from nimbi.drivers.ec2.logins.environment import from_environment
from nimbi.drivers.ec2.logins.ground import Ground, time_of
from nimbi.drivers.ec2.logins.instance import from_instance
from nimbi.drivers.ec2.logins.lease import Lease
from nimbi.drivers.ec2.logins.process import from_process
from nimbi.drivers.ec2.logins.sso import from_sso
from nimbi.drivers.ec2.profiles import Section
from nimbi.drivers.ec2.query import text
from nimbi.model.errors import Unauthorized
from nimbi.wire.sigv4 import Keys
from nimbi.wire.xml_read import Element

ROLE_VARIABLE = "AWS_ROLE_ARN"
ROLE_SESSION_VARIABLE = "AWS_ROLE_SESSION_NAME"
TOKEN_FILE_VARIABLE = "AWS_WEB_IDENTITY_TOKEN_FILE"  # noqa: S105  a name
STS = "AWS's Security Token Service"

# Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
SOURCES: Mapping[str, Callable[[Ground], Awaitable[Lease | None]]] = {
    "Environment": from_environment,
    "Ec2InstanceMetadata": from_instance,
    "EcsContainer": from_container,
}


async def from_profile(ground: Ground, name: str) -> Lease | None:
    """Return the keys of a profile; None when it tells of none.

    Roles come first, then the identity centre, keys in the file of credentials, a program, and keys
    in the file of settings. Raises Unauthorized for a profile that leads nowhere.
    """
    return await _of_profile(ground.of_profile(name), name, ())


async def from_web_identity(ground: Ground) -> Lease | None:
    """Return the keys of the role that the environment names, with a token from a file.

    None when it names none, or when the profile in use takes a role: that goes before.
    """
    environment = ground.environment
    file, role = environment.get(TOKEN_FILE_VARIABLE), environment.get(ROLE_VARIABLE)
    if not file or not role or _takes_role(ground.profiles.current_or_nothing):
        return None
    return await _by_web_identity(ground, role, file, environment.get(ROLE_SESSION_VARIABLE))


async def _of_profile(ground: Ground, name: str, before: tuple[str, ...]) -> Lease | None:
    section = ground.section(name)
    if (role := section.get("role_arn")) and not _is_last(section, name, before):
        if _takes_role(section):
            keys = await _keys_for_role(ground, section, name, (*before, name))
            return await _taken(ground, section, role, keys)
        if file := section.get("web_identity_token_file"):
            return await _by_web_identity(ground, role, file, section.get("role_session_name"))
    return (
        await from_sso(ground, section)
        or _static(ground.profiles.secrets.get(name, {}), name)
        or await from_process(section)
        or _static(ground.profiles.profiles.get(name, {}), name)
    )


def _takes_role(section: Section) -> bool:
    return "role_arn" in section and not section.keys().isdisjoint(
        {"source_profile", "credential_source"}
    )


def _is_last(section: Section, name: str, before: tuple[str, ...]) -> bool:
    """Return whether a profile that another one refers to has keys itself."""
    if not before:
        return False
    if "aws_access_key_id" in section:
        return True
    if name in before:
        circle = " -> ".join((*before, name))
        raise Unauthorized(f"AWS profiles refer to each other in a circle: {circle}")
    return False


async def _keys_for_role(
    ground: Ground, section: Section, name: str, before: tuple[str, ...]
) -> Keys:
    if other := section.get("source_profile"):
        lease = await _of_profile(ground.of_profile(other), other, before)
    else:
        source = SOURCES.get(section["credential_source"])
        if source is None:
            raise Unauthorized(f"the AWS profile {name!r} names a source of keys that is none")
        lease = await source(ground)
    if lease is None:
        raise Unauthorized(f"the AWS profile {name!r} takes a role with keys that are not there")
    return lease.keys


async def _taken(ground: Ground, section: Section, role: str, keys: Keys) -> Lease:
    if "mfa_serial" in section:
        raise Unauthorized(
            "the AWS profile wants a code of a device, for which nobody can be asked here: "
            "log in by `aws sts get-session-token` and put its keys in the environment"
        )
    wish: dict[str, Any] = {
        "RoleArn": role,
        "RoleSessionName": _session_name(section.get("role_session_name")),
        "ExternalId": section.get("external_id"),
        "DurationSeconds": section.get("duration_seconds"),
    }
    return _told(await ground.sts("AssumeRole", wish, keys))


async def _by_web_identity(ground: Ground, role: str, file: str, session: str | None) -> Lease:
    try:
        token = Path(file).expanduser().read_text().strip()  # noqa: ASYNC240  one small file
    except (OSError, UnicodeDecodeError, RuntimeError):
        raise Unauthorized(f"the file with the token of a role cannot be read: {file}") from None
    wish = {
        "RoleArn": role,
        "RoleSessionName": _session_name(session),
        "WebIdentityToken": token,
    }
    return _told(await ground.sts("AssumeRoleWithWebIdentity", wish, None))


def _session_name(given: str | None) -> str:
    return given or f"nimbi-{uuid4().hex[:16]}"


def _told(root: Element) -> Lease:
    found = next(root.iter("Credentials"), None)
    id = text(found, "AccessKeyId") if found is not None else None
    secret = text(found, "SecretAccessKey") if found is not None else None
    if found is None or id is None or secret is None:
        raise Unauthorized(f"{STS} gave no keys")
    expires_at = time_of(text(found, "Expiration"), STS)
    return Lease(Keys(id, secret, text(found, "SessionToken")), expires_at)


def _static(section: Section, name: str) -> Lease | None:
    id = section.get("aws_access_key_id")
    if not id:
        return None
    secret = section.get("aws_secret_access_key")
    if not secret:
        raise Unauthorized(f"the AWS profile {name!r} has the id of a key, and no secret")
    token = section.get("aws_session_token") or section.get("aws_security_token")
    return Lease(Keys(id, secret, token or None))
