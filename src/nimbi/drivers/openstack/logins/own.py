"""The login of this very user, as OpenStack's own tools would take it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from nimbi.drivers.openstack.access import Access, Tls
from nimbi.drivers.openstack.calls import sent
from nimbi.drivers.openstack.catalogue import SERVICES, Interface
from nimbi.drivers.openstack.login import OwnLogin
from nimbi.drivers.openstack.logins.clouds import entry_of
from nimbi.drivers.openstack.logins.files import Files, Section, normal, read_files
from nimbi.drivers.openstack.logins.methods import way_of
from nimbi.drivers.openstack.logins.vendors import WELL_KNOWN
from nimbi.drivers.openstack.places import bare, checked_url, where_of
from nimbi.model.errors import CloudUnavailable, Invalid, Unauthorized
from nimbi.wire.http import Request

if TYPE_CHECKING:
    from nimbi.drivers.openstack.backend import Backend

INTERFACES: Mapping[str, Interface] = {
    name: kind for kind in ("public", "internal", "admin") for name in (kind, f"{kind}URL")
}


async def own_access(login: OwnLogin, provider: str | None, backend: "Backend") -> Access:
    """Return what the environment and the files of this user say, read now.

    A provider names an entry of `clouds.yaml`, a region, or the Keystone of an entry. Raises
    Unauthorized when there is no such login.
    """
    environment, settings = backend.environment, backend.settings
    files = read_files(environment)

    async def fetch(url: str) -> Mapping[str, Any]:
        return await _told_by(backend, url)

    cloud, url, region = _asked(provider, files)
    entry = await entry_of(
        environment,
        files,
        cloud or _at(url, files) or login.cloud,
        region or settings.region,
        fetch,
    )
    auth = entry["auth"]
    if "auth_url" not in auth:
        raise Unauthorized("the login of clouds.yaml or OS_* says nothing of auth_url")
    auth_url = checked_url(auth["auth_url"])
    if url is not None and bare(url) != bare(auth_url):
        # A password is for the cloud that it is written down for, and no other.
        raise Unauthorized(f"neither OS_* nor clouds.yaml has a login for {urlsplit(url).hostname}")
    return Access(
        auth_url=auth_url,
        region=entry.get("region_name") or None,
        way=way_of(entry),
        interface=_interface(entry),
        endpoint_urls={**settings.endpoint_urls, **_overrides(entry)},
        tls=_tls(entry),
        own=True,
    )


def _asked(provider: str | None, files: Files) -> tuple[str | None, str | None, str | None]:
    """Return the entry, the Keystone and the region that a provider names."""
    if provider is not None and provider in files.clouds:
        return provider, None, None
    where = where_of(provider)
    return None, where.auth_url, where.region


def _at(url: str | None, files: Files) -> str | None:
    """Return the only entry whose Keystone is at a URL."""
    if url is None:
        return None
    fitting = [
        name
        for name, entry in files.clouds.items()
        if isinstance(auth := entry.get("auth"), dict)
        and bare(str(auth.get("auth_url", "")).rstrip("/")) == bare(url)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _interface(entry: Section) -> Interface:
    name = str(entry.get("interface") or entry.get("endpoint_type") or "public")
    if name not in INTERFACES:
        raise Invalid(f"the interface of clouds.yaml is {', '.join(INTERFACES)}, not {name!r}")
    return INTERFACES[name]


def _overrides(entry: Section) -> dict[str, str]:
    found: dict[str, str] = {}
    for service, types in SERVICES.items():
        for type in (*types, service):
            url = entry.get(f"{type.replace('-', '_')}_endpoint_override")
            if url:
                text = str(url).replace("{region_name}", str(entry.get("region_name") or ""))
                found.setdefault(service, checked_url(text))
    return found


def _tls(entry: Section) -> Tls:
    """Return whom to trust: `verify`, `insecure`, `cacert`, `cert` and `key`."""
    insecure = _truth(entry.get("insecure"), default=False)
    verify = _truth(entry.get("verify"), default=True) and not insecure
    cacert = entry.get("cacert")
    return Tls(
        ca_file=str(cacert) if cacert and verify else None,
        verify=verify,
        cert_file=_text(entry.get("cert")),
        key_file=_text(entry.get("key")),
    )


def _truth(value: Any, *, default: bool) -> bool:
    if value is None or value == "":
        return default
    return str(value).strip().lower() in ("true", "1", "yes", "on")


def _text(value: Any) -> str | None:
    return str(value) if value else None


async def _told_by(backend: "Backend", url: str) -> Mapping[str, Any]:
    """Return the profile that a public cloud tells itself."""
    parts = urlsplit(url)
    request = Request("GET", f"https://{parts.netloc}{WELL_KNOWN}")
    answer = await sent(backend.http, request, changes=False)
    try:
        told = msgspec.json.decode(answer.body) if answer.status == 200 else {}
        return normal(told["profile"])
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
        raise CloudUnavailable(f"{parts.netloc} tells no profile of its cloud") from None
