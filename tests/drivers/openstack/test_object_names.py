"""Names, metadata, sizes and limits of Swift, before anything is sent."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.drivers.openstack.objects.facts import timestamp
from nimbi.drivers.openstack.objects.names import (
    in_path,
    known_bucket,
    known_key,
    metadata_headers,
    metadata_of,
    new_bucket,
    new_key,
    segments_of,
)
from nimbi.drivers.openstack.objects.removal import before, in_path_of
from nimbi.drivers.openstack.objects.rules import (
    GIB,
    MIB,
    MOST_BYTES,
    MOST_SEGMENTS,
    Limits,
    Rules,
    limits_of,
)
from nimbi.model.errors import Invalid, NotFound

LIMITS = Limits()
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)
VALUES = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


@pytest.mark.parametrize("name", ["", "a/b", "x" * 257, "é" * 129, "a\0b", "\ud800"])
def test_what_can_name_no_bucket_is_invalid_and_is_not_found(name: str) -> None:
    with pytest.raises(Invalid):
        new_bucket(name, LIMITS)
    with pytest.raises(NotFound):
        known_bucket(name)


@pytest.mark.parametrize("key", ["", "x" * 1025, "é" * 513, "a\0b", "\ud800"])
def test_what_can_name_no_blob_is_invalid_and_is_not_found(key: str) -> None:
    with pytest.raises(Invalid):
        new_key(key, LIMITS)
    with pytest.raises(NotFound):
        known_key(key)


def test_names_are_as_long_as_the_store_says() -> None:
    small = limits_of({"swift": {"max_object_name_length": 3, "max_container_name_length": 3}})
    for name in (new_key, new_bucket):
        assert name("abc", small) == "abc"
        with pytest.raises(Invalid):
            name("abcd", small)


@pytest.mark.parametrize("key", ["..", "../b", "a/..", "a/./b", "a/../../b"])
def test_no_proxy_takes_a_key_for_a_way_out_of_its_bucket(key: str) -> None:
    path = in_path("bucket", key)
    assert "/.." not in path
    assert "/./" not in path
    assert in_path_of(path) == path


@given(TEXT, TEXT)
def test_a_path_is_read_as_it_was_written(container: str, key: str) -> None:
    path = in_path(container.replace("/", ""), key)
    assert path.isascii()
    assert path.isprintable()
    assert " " not in path
    if container.replace("/", ""):
        assert in_path_of(path) == path


@given(st.dictionaries(st.from_regex(r"[a-z0-9!.~-]{1,20}", fullmatch=True), VALUES, max_size=5))
def test_metadata_come_back_as_they_were_given(metadata: dict[str, str]) -> None:
    headers = metadata_headers(metadata, Limits(metadata_value_bytes=4096))
    assert all(value == value.strip() != "" for value in headers.values())
    assert metadata_of(headers) == metadata


@pytest.mark.parametrize(
    "metadata",
    [
        {"under_score": "x"},
        {"": "x"},
        {"two words": "x"},
        {"name": "a\nb"},
        {"Name": "x", "name": "y"},
        {"n" * 129: "x"},
        {"name": "x" * 257},
        {f"n{number}": "x" for number in range(91)},
        {f"n{number}": "x" * 256 for number in range(17)},
    ],
    ids=repr,
)
def test_metadata_that_would_be_lost_are_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        metadata_headers(metadata, LIMITS)


@given(TEXT.filter(lambda text: "\0" not in text))
def test_what_comes_before_an_id_comes_before_it(id: str) -> None:
    assert (before(id) or "") < id


@pytest.mark.parametrize("bucket", ["short", "x" * 256, "é" * 128])
def test_segments_have_a_container_whose_name_is_not_too_long(bucket: str) -> None:
    assert len(segments_of(bucket).encode()) <= LIMITS.container_name_bytes
    assert segments_of(bucket) != segments_of(bucket[:-1])


def test_limits_that_are_not_told_are_swifts_own() -> None:
    for told in (None, [], {}, {"swift": None}, {"other": {}}):
        assert limits_of(told) == Limits()
    told = {"swift": {"max_file_size": "many", "max_meta_count": -1}, "slo": {}, "tempurl": {}}
    found = limits_of(told)
    assert (found.object_bytes, found.metadata_count) == (Limits().object_bytes, 90)
    assert (found.deletes, found.has_manifests, found.digests) == (0, True, ("sha1",))


def test_a_thousand_segments_are_enough_for_the_largest_blob() -> None:
    rules = Rules()
    for size in (0, 1, 32 * GIB, 32 * GIB + 1, 10**12, MOST_BYTES):
        part = rules.segment_of(size)
        assert rules.segment_bytes <= part <= 5 * GIB
        assert part * MOST_SEGMENTS >= size
        assert part % MIB == 0
    sizes = [rules.growing_segment(number, 5 * GIB) for number in range(1, MOST_SEGMENTS + 1)]
    assert sum(sizes) >= 10**12
    assert max(sizes) <= 5 * GIB
    assert sizes == sorted(sizes)


def test_a_time_is_told_to_the_microsecond() -> None:
    assert timestamp("1763722633.12345") == datetime(2025, 11, 21, 10, 57, 13, 123450, UTC)
    assert timestamp("1763722633") == datetime(2025, 11, 21, 10, 57, 13, 0, UTC)
    for text in (None, "", "now", "1e9", "-1"):
        assert timestamp(text) is None
