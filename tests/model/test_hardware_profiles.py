"""What hardware profiles offer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.model.errors import Invalid
from nimbi.model.hardware_profiles import Enum, Fixed, HardwareProfile, Range, Sizes

PROFILE = HardwareProfile(
    id="m1",
    name="m1",
    cpus=Range(1, 4, 2),
    memory_mib=Enum((512, 1024), 512),
    storage_gib=Fixed(10),
)


@pytest.mark.parametrize(
    "sizes",
    [
        Sizes(),
        Sizes(cpus=1),
        Sizes(cpus=4),
        Sizes(cpus=2.5),
        Sizes(memory_mib=1024),
        Sizes(storage_gib=10),
        Sizes(cpus=1, memory_mib=512, storage_gib=10),
    ],
)
def test_sizes_that_are_offered_pass(sizes: Sizes):
    assert PROFILE.check(sizes) is None


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        (Sizes(cpus=5), "cpus 5: it takes 1 to 4"),
        (Sizes(memory_mib=513), "memory_mib 513: it takes one of 512, 1024"),
        (Sizes(storage_gib=11), "storage_gib 11: it is always 10"),
        (Sizes(architecture="arm64"), "architecture 'arm64': it has no such property"),
    ],
)
def test_sizes_that_are_not_offered_are_invalid(sizes: Sizes, text: str):
    with pytest.raises(Invalid, match=f"hardware profile 'm1' does not offer {text}"):
        PROFILE.check(sizes)


def test_properties_come_in_their_order_and_only_those_that_are_told():
    assert list(PROFILE.properties()) == ["cpus", "memory_mib", "storage_gib"]
    assert HardwareProfile(id="opaque", name="opaque").properties() == {}


def test_sizes_that_are_not_set_are_not_given():
    assert Sizes(cpus=2, architecture="x86_64").given() == {"cpus": 2, "architecture": "x86_64"}


def test_a_range_allows_no_text():
    assert not Range(1, 4, 2).allows("2")


@given(st.integers(), st.integers(), st.integers())
def test_a_range_allows_what_lies_within(a: int, b: int, value: int) -> None:
    first, last = min(a, b), max(a, b)
    assert Range(first, last, first).allows(value) == (first <= value <= last)


@given(st.lists(st.integers() | st.text(), min_size=1))
def test_an_enum_allows_its_values(values: list[int | str]) -> None:
    assert all(Enum(tuple(values), values[0]).allows(value) for value in values)
