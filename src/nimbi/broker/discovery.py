"""Logins that are on this machine already: AWS profiles, `clouds.yaml`, the environment."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from nimbi.gateway.registry import AnyDriver, Registry
from nimbi.model.accounts import NAME, RESERVED, NewAccount
from nimbi.model.errors import CloudError

LONGEST = 60
# Names that say nothing of the login: its driver's name says more.
VAGUE = frozenset({"default", "environment", "envvars"})

_NAME = re.compile(NAME)
_OTHER = re.compile(r"[^a-z0-9._-]+")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A login that was found. `new` keeps it as an account; None, with a `problem`, when it can't.

    `source` is for people: `the AWS profile 'work'`. `name` fits as an account's.
    """

    driver: str
    provider: str | None
    name: str
    source: str
    new: NewAccount | None = None
    problem: str | None = None

    def __repr__(self) -> str:
        return f"Found({self.driver!r}, {self.name!r}, …)"


def discover(registry: Registry, environment: Mapping[str, str], home: Path) -> list[Found]:
    """Return the logins of this very user, by driver and name. Asks no cloud.

    Files that cannot be read are told as one with a `problem`.
    """
    found: list[Found] = []
    for name in registry.names():
        try:
            driver = registry.driver(name)
        except CloudError:
            # What is not installed cannot have been used here.
            continue
        taken = {each.name for each in found}
        found += _of_driver(driver, environment, home, taken)
    return found


def _of_driver(
    driver: AnyDriver, environment: Mapping[str, str], home: Path, taken: set[str]
) -> Iterable[Found]:
    try:
        logins = list(driver.found_logins(environment, home))
    except CloudError as error:
        source = f"the files of {driver.title}"
        name = _named(driver.name, driver.name, taken)
        return [
            Found(
                driver=driver.name, provider=None, name=name, source=source, problem=error.message
            )
        ]
    found: list[Found] = []
    for login in logins:
        name = _named(login.name, driver.name, taken)
        taken.add(name)
        new: NewAccount | None = None
        if login.problem is None:
            fields = None if login.credentials is None else msgspec.to_builtins(login.credentials)
            new = NewAccount(
                id=name,
                driver=driver.name,
                provider=login.provider,
                credentials=fields,
                own_login=login.credentials is None,
            )
        found.append(
            Found(
                driver=driver.name,
                provider=login.provider,
                name=name,
                source=login.source,
                new=new,
                problem=login.problem,
            )
        )
    return found


def _named(name: str, driver: str, taken: set[str]) -> str:
    """Return a free name for an account, as near to the login's own as can be."""
    wanted = driver if name.lower() in VAGUE else name
    base = _OTHER.sub("-", wanted.lower()).strip("._-")[:LONGEST].strip("._-")
    if _NAME.fullmatch(base) is None or base in RESERVED:
        base = driver
    names = (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3)))
    return next(each for each in names if each not in taken)
