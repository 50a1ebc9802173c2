"""Which logins to OpenStack this very user has, by what OpenStack's own tools read."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from nimbi.driver.interface import FoundLogin
from nimbi.drivers.openstack.logins.clouds import ENVIRONMENT, from_environment
from nimbi.drivers.openstack.logins.files import read_files
from nimbi.drivers.openstack.places import urls_of
from nimbi.model.errors import Invalid


def found_logins(environment: Mapping[str, str], home: Path) -> Iterator[FoundLogin]:
    """Yield what OS_* says, then each entry of `clouds.yaml`.

    None is copied: the files are read whenever a login is needed, and tell more than a login.
    """
    told = {**environment, "HOME": str(home)}
    if from_environment(told) is not None and not told.get("OS_CLOUD"):
        yield FoundLogin(name=ENVIRONMENT, source="the variables OS_*")
    for name in sorted(read_files(told).clouds):
        source = f"the entry {name!r} of clouds.yaml"
        yield FoundLogin(name=name, source=source, provider=name, problem=_problem(name))


def _problem(name: str) -> str | None:
    try:
        urls = urls_of(name)
    except Invalid:
        urls = ("",)
    return "its name is none that a provider can have: rename it" if urls else None
