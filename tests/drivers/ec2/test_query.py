"""AWS's Query protocols: parameters out, elements in."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from pickle import dumps, loads
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.drivers.ec2.query import (
    encoded,
    extra,
    filters,
    flatten,
    items,
    number,
    tags,
    text,
    truth,
    when,
)
from nimbi.model.errors import CloudError, Invalid
from nimbi.model.instances import InstanceState
from nimbi.wire.xml_read import Element, parse

INSTANCE = b"""<item xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<instanceId>i-1</instanceId><reason/><ebsOptimized>false</ebsOptimized><n>42</n>
<instanceState><code>16</code><name>running</name></instanceState>
<launchTime>2026-11-21T10:00:00.000Z</launchTime>
<tagSet><item><key>a</key><value>b</value></item><item><key>empty</key><value/></item></tagSet>
<groupSet/></item>"""


@pytest.fixture
def instance() -> Element:
    return parse(INSTANCE)


def test_lists_and_mappings_are_numbered_and_named() -> None:
    wish = {
        "InstanceId": ["i-1", "i-2"],
        "Filter": [{"Name": "vpc-id", "Value": ["v", "w"]}],
        "Placement": {"AvailabilityZone": "a"},
    }
    assert flatten(wish) == [
        ("InstanceId.1", "i-1"),
        ("InstanceId.2", "i-2"),
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", "v"),
        ("Filter.1.Value.2", "w"),
        ("Placement.AvailabilityZone", "a"),
    ]


def test_other_services_have_members() -> None:
    assert flatten({"Names": ["a"], "Tags": [{"Key": "k"}]}, member=True) == [
        ("Names.member.1", "a"),
        ("Tags.member.1.Key", "k"),
    ]


def test_values_read_as_aws_wants_them() -> None:
    plus_two = timezone(timedelta(hours=2))
    wish = {
        "DryRun": False,
        "Count": 3,
        "UserData": b"\x00\xff",
        "At": datetime(2026, 1, 2, 3, 4, 5, tzinfo=plus_two),
        "Enum": InstanceState.RUNNING,
        "None": None,
        "Empty": [],
        "Nothing": {"Inner": None},
    }
    assert dict(flatten(wish)) == {
        "DryRun": "false",
        "Count": "3",
        "UserData": "AP8=",
        "At": "2026-01-02T01:04:05Z",
        "Enum": "running",
    }


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=5))
def test_a_form_reads_back_as_it_was(wish: dict[str, str]) -> None:
    try:
        body = encoded(wish.items())
    except Invalid:
        assert any("\ud800" <= c <= "\udfff" for pair in wish.items() for c in "".join(pair))
        return
    found = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    assert dict(found) == wish
    assert b" " not in body
    assert b"+" not in body


def test_what_is_no_unicode_is_refused() -> None:
    with pytest.raises(Invalid):
        encoded([("Name", "\ud800")])


def test_filters_without_values_are_left_out() -> None:
    assert filters({"vpc-id": ["v"], "state": "running", "none": None, "empty": []}) == [
        {"Name": "vpc-id", "Value": ["v"]},
        {"Name": "state", "Value": ["running"]},
    ]


def test_elements_are_read(instance: Element) -> None:
    assert text(instance, "instanceState/name") == "running"
    assert text(instance, "reason") is None
    assert text(instance, "nowhere") is None
    assert number(instance, "instanceState/code") == 16
    assert number(instance, "nowhere") is None
    assert truth(instance, "ebsOptimized") is False
    assert truth(instance, "nowhere") is None
    assert when(instance, "launchTime") == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert when(instance, "nowhere") is None
    assert tags(instance) == {"a": "b", "empty": ""}
    assert [text(tag, "key") for tag in items(instance, "tagSet/item")] == ["a", "empty"]


@pytest.mark.parametrize("read", [number, truth, when])
def test_what_reads_otherwise_than_it_should_is_the_cloud_s_error(
    instance: Element, read: Any
) -> None:
    with pytest.raises(CloudError, match="instanceId"):
        read(instance, "instanceId")


def test_the_answer_stays_reachable(instance: Element) -> None:
    found: Mapping[str, Any] = extra(instance)
    assert found["instanceState"] == {"code": "16", "name": "running"}
    assert found["tagSet"] == [{"key": "a", "value": "b"}, {"key": "empty", "value": None}]
    assert found["groupSet"] is None
    assert len(found) == 8
    with pytest.raises(TypeError):
        found["new"] = 1  # type: ignore[index]


def test_the_answer_can_be_compared_copied_and_sent(instance: Element) -> None:
    found = extra(instance)
    again = extra(parse(INSTANCE))
    assert found == again
    assert deepcopy(found) == found
    assert loads(dumps(found)) == dict(found)
    assert "i-1" in repr(found)


def test_an_answer_that_is_no_mapping_is_an_empty_one() -> None:
    assert dict(extra(parse(b"<a>text</a>"))) == {}
