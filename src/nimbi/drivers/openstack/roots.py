"""Where requests to each service of a session go."""

from collections.abc import Mapping

from nimbi.drivers.openstack.backend import Backend
from nimbi.drivers.openstack.calls import sent
from nimbi.drivers.openstack.catalogue import VERSIONS, completed, has_version, split_version
from nimbi.drivers.openstack.microversions import NEWEST, Root, chosen, versions_in
from nimbi.drivers.openstack.tokens import Token
from nimbi.model.errors import CloudUnavailable, Forbidden
from nimbi.wire.destinations import is_of_machine
from nimbi.wire.http import Answer, HttpClient, Request

AGE_S = 3600.0


class Roots:
    """Roots of services, by what the catalogue says and what the services themselves say."""

    def __init__(self, backend: Backend, http: HttpClient, *, trusted: bool) -> None:
        self._backend = backend
        self._http = http
        self._trusted = trusted
        self._known: dict[tuple[str, str], Root] = {}

    async def of(self, service: str, url: str, token: Token) -> Root:
        """Return the root of a service whose URL in the catalogue is `url`, remembered an hour.

        Raises Forbidden for an address that a catalogue of strangers must not name.
        """
        known = self._known.get((service, url))
        if known is not None:
            return known
        if not self._trusted and is_of_machine(url):
            raise Forbidden(f"the catalogue names no address of a service for {service}")
        if service not in VERSIONS and service not in NEWEST:
            root = Root(completed(service, url))
        else:
            key = ("root", service, url)
            root = await self._backend.cached(key, AGE_S, lambda: self._asked(service, url, token))
        self._known[service, url] = root
        return root

    async def moved(self, service: str, url: str, token: Token) -> Root | None:
        """Return another root of a service that does not speak the version of `url` any more."""
        before, own, behind = split_version(url)
        if not own:
            return None
        answer = await self._told(f"{before}/", token)
        others = tuple(v for v in versions_in(answer) if v.id not in (own, f"{own}.0"))
        root = chosen(service, before, others)
        if root is None or root.url == url:
            return None
        root = Root(root.url + behind, root.oldest, root.newest)
        self._known[service, url] = root
        return root

    async def _asked(self, service: str, url: str, token: Token) -> Root:
        """Ask at the URL itself, and above it when that tells nothing."""
        before, own, _ = split_version(url)
        for place in dict.fromkeys((f"{before}/{own}" if own else url, before)):
            answer = await self._told(f"{place}/", token)
            if root := chosen(service, url, versions_in(answer)):
                return root
        if has_version(url) or service not in VERSIONS:
            return Root(url)
        return Root(f"{url}/{VERSIONS[service][0]}")

    async def _told(self, url: str, token: Token) -> Answer:
        """Return what stands at a root; some services show that to those only who are logged in."""
        request = Request("GET", url, {"X-Auth-Token": token.id, "Accept": "application/json"})
        return await sent(self._http, request, changes=False)


def service_urls(
    catalogued: Mapping[str, str], overrides: Mapping[str, str], auth_url: str
) -> dict[str, str]:
    """Return the URL of each service: that of the settings, or of the catalogue.

    Keystone itself is where the login was, when the catalogue does not list it.
    """
    urls = {"identity": auth_url, **catalogued}
    urls.update((name, url.rstrip("/")) for name, url in overrides.items())
    return urls


async def identity_url(backend: Backend, http: HttpClient, url: str) -> str:
    """Return the root of Keystone v3 for a URL with another version, or none."""
    before, own, _ = split_version(url)
    if own == "v3":
        return url

    async def asked() -> str:
        answer = await sent(http, Request("GET", f"{before}/"), changes=False)
        for version in versions_in(answer):
            if version.id.startswith("v3"):
                return f"{before}/v3"
        if answer.status >= 500:
            raise CloudUnavailable(f"Keystone answered {answer.status}")
        return f"{before}/v3"

    return await backend.cached(("identity", url), AGE_S, asked)
