"""Drivers made of the mock's parts: one that can do little, one that breaks."""

from dataclasses import replace
from typing import Any, ClassVar

from nimbi.driver.compute import Instances
from nimbi.driver.interface import Driver
from nimbi.drivers.mock import (
    DRIVER,
    MockFirewalls,
    MockHardwareProfiles,
    MockImages,
    MockInstances,
    MockRealms,
)
from nimbi.model.errors import CloudError
from nimbi.model.firewalls import Firewall, PrefixListSource, Protocol, Rule
from nimbi.model.page import Page
from nimbi.model.realms import Realm


class PlainInstances(MockInstances):
    """Instances without features, which can neither be stopped nor started in number."""

    features: ClassVar[frozenset[str]] = frozenset()
    stop = Instances.stop  # type: ignore[assignment]
    create_many = Instances.create_many  # type: ignore[assignment]


class PlainImages(MockImages):
    features: ClassVar[frozenset[str]] = frozenset()


PLAIN: Driver[Any, Any] = replace(
    DRIVER,
    name="plain",
    title="Plain",
    collections=(MockRealms, MockHardwareProfiles, PlainImages, PlainInstances),
    entrypoints={"s3": {"eu": "s3.example", "us": "s3-us.example"}, "ec2": {"eu": "ec2.example"}},
)


class InwardFirewalls(MockFirewalls):
    """Firewalls for what comes in."""

    features: ClassVar[frozenset[str]] = frozenset()


INWARD: Driver[Any, Any] = replace(DRIVER, name="inward", collections=(InwardFirewalls,))


class ListingFirewalls(MockFirewalls):
    """Firewalls that let in what is in a prefix list."""

    async def get(self, id: str) -> Firewall:
        sources = (PrefixListSource("pl-1"),)
        rule = Rule(id="r", protocol=Protocol.TCP, port_from=1, port_to=2, sources=sources)
        return Firewall(id=id, name=id, description=None, owner_id=None, rules=(rule,))


LISTING: Driver[Any, Any] = replace(DRIVER, name="listing", collections=(ListingFirewalls,))


def failing(error: Exception) -> Driver[Any, Any]:
    """Return a driver whose realms raise an error."""

    class FailingRealms(MockRealms):
        async def page(self, marker: str | None, limit: int) -> Page[Realm]:
            raise error

        async def get(self, id: str) -> Realm:
            raise error

    return replace(DRIVER, collections=(FailingRealms,))


class Odd(CloudError):
    """An error that no table knows by itself."""
