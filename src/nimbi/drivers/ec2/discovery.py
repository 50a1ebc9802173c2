"""Which logins to AWS this very user has, by what AWS's own tools read."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from nimbi.driver.interface import FoundLogin
from nimbi.drivers.ec2.endpoints import REGION_VARIABLES
from nimbi.drivers.ec2.login import AccessKey
from nimbi.drivers.ec2.profiles import (
    CONFIG_VARIABLE,
    CREDENTIALS_VARIABLE,
    DEFAULT,
    Section,
    read_profiles,
)

# What an account of a login without a name of its own is called.
ACCOUNT = "aws"
KEYS = ("aws_access_key_id", "aws_secret_access_key")
# What a profile says whose keys are fetched from elsewhere, again and again.
FETCHED = ("role_arn", "sso_session", "sso_start_url", "credential_process", "login_session")


def found_logins(environment: Mapping[str, str], home: Path) -> Iterator[FoundLogin]:
    """Yield the keys of the environment, then each profile. Raises CloudError for broken files."""
    places = {
        CONFIG_VARIABLE: str(home / ".aws" / "config"),
        CREDENTIALS_VARIABLE: str(home / ".aws" / "credentials"),
    }
    found = read_profiles({**places, **{k: v for k, v in environment.items() if v}})
    region = next((environment[name] for name in REGION_VARIABLES if environment.get(name)), None)
    if (key := environment.get("AWS_ACCESS_KEY_ID")) and (
        secret := environment.get("AWS_SECRET_ACCESS_KEY")
    ):
        yield FoundLogin(
            name=ACCOUNT,
            source="the variable AWS_ACCESS_KEY_ID",
            provider=region,
            credentials=AccessKey(key, secret, environment.get("AWS_SESSION_TOKEN") or None),
        )
    for name in sorted({*found.profiles, *found.secrets}):
        yield _of_profile(name, found.profile(name), region, is_own=name == found.name)


def _of_profile(name: str, profile: Section, region: str | None, *, is_own: bool) -> FoundLogin:
    source = f"the AWS profile {name!r}"
    provider = profile.get("region") or region
    problem: str | None = None
    credentials: AccessKey | None = None
    if "endpoint_url" in profile:
        # An account holds no endpoint of EC2: only the server's own profile leads there.
        if not is_own:
            problem = (
                "its endpoint_url is none of AWS's: start the server with AWS_PROFILE for it, "
                "or store it as an account of s3 or eucalyptus"
            )
    elif all(profile.get(key) for key in KEYS) and not any(key in profile for key in FETCHED):
        credentials = AccessKey(
            profile[KEYS[0]], profile[KEYS[1]], profile.get("aws_session_token") or None
        )
    elif not any(key in profile for key in FETCHED):
        problem = "it holds no keys"
    elif not is_own:
        chosen = "AWS_PROFILE" if name != DEFAULT else "no AWS_PROFILE"
        problem = f"its keys are fetched anew each time: start the server with {chosen} for it"
    return FoundLogin(
        name=ACCOUNT if name == DEFAULT else name,
        source=source,
        provider=provider,
        credentials=credentials,
        problem=problem,
    )
