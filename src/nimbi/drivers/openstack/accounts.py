"""What an account, the settings and the environment say together about a login."""

from typing import TYPE_CHECKING

from nimbi.driver.interface import Account
from nimbi.drivers.openstack.access import Access
from nimbi.drivers.openstack.login import Login, OwnLogin, way_of
from nimbi.drivers.openstack.places import bare, check_allowed, checked_url, where_of
from nimbi.model.errors import Invalid

if TYPE_CHECKING:
    from nimbi.drivers.openstack.backend import Backend


async def access_of(account: Account, backend: "Backend") -> Access:
    """Return where an account goes, and as whom. Raises Invalid, Forbidden, Unauthorized."""
    if isinstance(account.credentials, OwnLogin):
        from nimbi.drivers.openstack.logins.own import own_access

        return await own_access(account.credentials, account.provider, backend)
    settings, environment = backend.settings, backend.environment
    where = where_of(account.provider)
    usual = checked_url(settings.auth_url or environment.get("OS_AUTH_URL") or "", missing=True)
    url = where.auth_url or usual
    is_usual = bool(usual) and bare(url) == bare(usual)
    if not url and account.credentials is not None:
        raise Invalid("a provider is needed: the URL of a Keystone, such as http://host:5000/v3")
    if url and not is_usual:
        check_allowed(url, settings.allowed_endpoints)
    # The usual region is one of the usual cloud.
    usual_region = settings.region or environment.get("OS_REGION_NAME") if is_usual else None
    login = account.credentials
    way = way_of(login, settings.domain) if isinstance(login, Login) else None
    return Access(
        url, where.region or usual_region or None, way, settings.interface, settings.endpoint_urls
    )
