"""What this very cloud lacks, by its catalogue."""

from collections.abc import Mapping

from nimbi.drivers.openstack.session import Session

# The service without which a collection is not there.
SERVICE_OF: Mapping[str, str] = {
    "realms": "compute",
    "hardware_profiles": "compute",
    "instances": "compute",
    "keys": "compute",
    "metrics": "compute",
    "quotas": "compute",
    "images": "image",
    "volumes": "volume",
    "snapshots": "volume",
    "firewalls": "network",
    "addresses": "network",
    "networks": "network",
    "subnets": "network",
    "routers": "network",
    "network_interfaces": "network",
    "load_balancers": "load-balancer",
    "buckets": "object-store",
    "blobs": "object-store",
}


def narrow(session: Session) -> frozenset[str]:
    """Return the collections whose service is in the catalogue: a cloud may lack some."""
    services = session.services()
    if not services:
        return frozenset(SERVICE_OF)
    return frozenset(name for name, service in SERVICE_OF.items() if service in services)


def notes(session: Session) -> Mapping[str, str]:
    """Return what clients are shown: where the login is, where else it could be, what is not there.

    `{"region": "RegionOne", "lacks": "load-balancer (load_balancers)"}`
    """
    token = session.latest_token
    if token is None:
        return {}
    services = session.services()
    lacking: dict[str, list[str]] = {}
    for collection, service in SERVICE_OF.items():
        if service not in services:
            lacking.setdefault(service, []).append(collection)
    others = [region for region in session.regions() if region != session.region]
    told = {
        "project": token.project or token.project_id,
        "region": session.region,
        "other regions": ", ".join(others),
        "services that are not there": ", ".join(
            f"{service} ({', '.join(names)})" for service, names in lacking.items()
        ),
    }
    return {name: text for name, text in told.items() if text}


def providers(session: Session) -> dict[str, dict[str, str]]:
    """Return where each service is in each region: `{"compute": {"http://h:5000/v3;R1": "…"}}`."""
    found: dict[str, dict[str, str]] = {}
    for region in session.regions():
        for service, url in session.services_at(region).items():
            found.setdefault(service, {})[f"{session.auth_url};{region}"] = url
    return found
