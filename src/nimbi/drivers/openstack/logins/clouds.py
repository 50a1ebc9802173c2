"""One entry of `clouds.yaml`, or what the environment says instead of one."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nimbi.drivers.openstack.logins.files import Files, Section, merged, normal
from nimbi.drivers.openstack.logins.vendors import ELSEWHERE, vendor
from nimbi.model.errors import Unauthorized

# Variables that choose among logins, and are none.
SELECTORS = frozenset(
    {
        "OS_CLOUD",
        "OS_REGION_NAME",
        "OS_CLIENT_CONFIG_FILE",
        "OS_CLIENT_SECURE_FILE",
        "OS_CLOUD_NAME",
    }
)
OTHERS = ("OS_TEST", "OS_STD", "OS_LOG")
ENVIRONMENT = "envvars"

# Old and other names of what is said under `auth`, by the name it has here. The first found counts.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "project_id": ("project_id", "tenant_id"),
    "project_name": ("project_name", "tenant_name"),
    "token": ("token", "auth_token"),
    "username": ("username", "user_name"),
}
AUTH = (
    *ALIASES,
    *("auth_url", "password", "passcode", "user_id", "user_domain_id", "user_domain_name"),
    *("project_domain_id", "project_domain_name", "domain_id", "domain_name"),
    *("default_domain_id", "default_domain_name", "system_scope", "trust_id", "auth_methods"),
    *("application_credential_id", "application_credential_name"),
    *("application_credential_secret", "identity_provider", "protocol", "client_id"),
    *("client_secret", "openid_scope", "access_token", "access_token_endpoint"),
    *("access_token_type", "discovery_endpoint"),
)

_FIELD = re.compile(r"\{(\w+)\}")

# Gives the profile that a URL tells.
Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]


async def entry_of(
    environment: Mapping[str, str],
    files: Files,
    cloud: str | None,
    region: str | None,
    fetch: Fetch,
) -> Section:
    """Return the entry that OpenStack's own tools would take, as one section.

    `cloud` and `region` go before what the environment says. Raises Unauthorized when there is
    none. `auth` holds all that is said of the login, with today's names.
    """
    told = from_environment(environment)
    name = cloud or environment.get("OS_CLOUD") or _default(files, told, environment)
    if name == environment.get("OS_CLOUD_NAME", ENVIRONMENT) and name not in files.clouds:
        entry = told or {}
    elif name in files.clouds:
        entry = files.clouds[name]
    else:
        raise Unauthorized(f"OpenStack's files have no cloud {name!r}")
    profile = entry.get("profile") or entry.get("cloud")
    below = await _profile(str(profile), files, fetch) if profile else {}
    region = region or environment.get("OS_REGION_NAME")
    return _finished(_with_region(merged(below, entry), region))


def from_environment(environment: Mapping[str, str]) -> Section | None:
    """Return what OS_* says, as an entry; None when it only chooses one."""
    names = [name for name in environment if name.startswith("OS_") and not name.startswith(OTHERS)]
    if not set(names) - SELECTORS:
        return None
    return {name.removeprefix("OS_").lower(): environment[name] for name in names}


def _default(files: Files, told: Section | None, environment: Mapping[str, str]) -> str:
    if told is not None:
        return environment.get("OS_CLOUD_NAME", ENVIRONMENT)
    if len(files.clouds) == 1:
        return next(iter(files.clouds))
    if not files.clouds:
        raise Unauthorized(
            "this machine has no login to OpenStack: neither in the environment nor in clouds.yaml"
        )
    names = ", ".join(sorted(files.clouds))
    raise Unauthorized(f"OS_CLOUD must name one of the clouds in clouds.yaml: {names}")


async def _profile(name: str, files: Files, fetch: Fetch) -> Section:
    known = files.profiles.get(name) or vendor(name)
    if known is not None:
        return known
    url = ELSEWHERE.get(name, name)
    if url.startswith("https://"):
        return normal(await fetch(url))
    raise Unauthorized(f"OpenStack's files have no profile {name!r}")


def _with_region(entry: Section, wanted: str | None) -> Section:
    """Return an entry with the region that is wanted, or its first, and what is said of that."""
    regions: dict[str, Section] = {}
    listed = entry.get("regions")
    if not listed:
        told = entry.get("region_name") or ()
        listed = told.split(",") if isinstance(told, str) else told
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict):
            values = one.get("values")
            regions[str(one.get("name"))] = normal(values) if isinstance(values, dict) else {}
        else:
            regions[str(one).strip()] = {}
    own = entry.get("region_name")
    if own and "regions" in entry and not wanted and str(own) in regions:
        wanted = str(own)
    name = wanted or next(iter(regions), None)
    return merged(merged(entry, regions.get(name or "", {})), {"region_name": name})


def _finished(entry: Section) -> Section:
    """Return an entry with all that is said of the login under `auth`, in today's words."""
    auth = entry.get("auth")
    inner: Section = auth if isinstance(auth, dict) else {}
    found: Section = {}
    for name in AUTH:
        for alias in ALIASES.get(name, (name,)):
            value = entry.get(alias)
            value = inner.get(alias) if value in (None, "") else value
            if value not in (None, "") and name not in found:
                found[name] = value if isinstance(value, list) else str(value)
    _share_domain(found)
    if "auth_url" in found:
        found["auth_url"] = _FIELD.sub(
            lambda field: str(entry.get(field[1], field[0])), found["auth_url"]
        )
    return {**entry, "auth": found}


def _share_domain(auth: Section) -> None:
    """Take one domain for both the user and the project, when there is a project."""
    if "project_id" not in auth and "project_name" not in auth:
        return
    for kind in ("id", "name"):
        domain = auth.pop(f"domain_{kind}", None)
        if domain is not None:
            auth.setdefault(f"user_domain_{kind}", domain)
            auth.setdefault(f"project_domain_{kind}", domain)
