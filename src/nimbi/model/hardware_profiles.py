"""Hardware profiles: the sizes of machines, each property fixed, a range or a list of values."""

from typing import ClassVar

import msgspec

from nimbi.model.errors import Invalid
from nimbi.model.resource import Resource

Value = int | float | str


class Fixed(msgspec.Struct, frozen=True, tag="fixed"):
    """The property has this value and no other."""

    default: Value

    def allows(self, value: Value) -> bool:
        return value == self.default


class Range(msgspec.Struct, frozen=True, tag="range"):
    """Any number from `first` to `last`, both included."""

    first: int | float
    last: int | float
    default: int | float

    def allows(self, value: Value) -> bool:
        return not isinstance(value, str) and self.first <= value <= self.last


class Enum(msgspec.Struct, frozen=True, tag="enum"):
    """One of `values`."""

    values: tuple[Value, ...]
    default: Value

    def allows(self, value: Value) -> bool:
        return value in self.values


Property = Fixed | Range | Enum


class HardwareProfile(Resource, frozen=True, kw_only=True):
    """A size of machine. One without any property is opaque: only the cloud knows its size."""

    PROPERTIES: ClassVar[tuple[str, ...]] = (
        "cpus",
        "memory_mib",
        "storage_gib",
        "architecture",
        "root_type",
        "gpus",
    )

    name: str
    cpus: Property | None = None
    memory_mib: Property | None = None
    storage_gib: Property | None = None
    architecture: Property | None = None
    root_type: Property | None = None
    gpus: Property | None = None

    def properties(self) -> dict[str, Property]:
        """Return the properties that this profile tells, in the order of PROPERTIES."""
        told = {name: getattr(self, name) for name in self.PROPERTIES}
        return {name: value for name, value in told.items() if value is not None}

    def check(self, sizes: "Sizes") -> None:
        """Raise Invalid when a size is asked that this profile does not offer."""
        offered = self.properties()
        for name, value in sizes.given().items():
            rule = offered.get(name)
            if rule is None or not rule.allows(value):
                raise Invalid(
                    f"hardware profile {self.id!r} does not offer {name} {value!r}: {_says(rule)}"
                )


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes asked for, or had, where they differ from the profile's defaults; None is no wish."""

    cpus: int | float | None = None
    memory_mib: int | float | None = None
    storage_gib: int | float | None = None
    architecture: str | None = None

    def given(self) -> dict[str, Value]:
        """Return the sizes that are set, by name."""
        told = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in told.items() if value is not None}


def _says(rule: Property | None) -> str:
    if rule is None:
        return "it has no such property"
    if isinstance(rule, Fixed):
        return f"it is always {rule.default}"
    if isinstance(rule, Range):
        return f"it takes {rule.first} to {rule.last}"
    return f"it takes one of {', '.join(map(str, rule.values))}"
