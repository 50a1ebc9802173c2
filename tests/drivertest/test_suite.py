"""The suite fails when a driver is wrong, in the test whose name says what is wrong."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# The broken driver, and a test that must fail on it.
CAUGHT = [
    ("Nameless", "test_a_name_is_kept_or_refused_but_never_ignored"),
    ("Slipping", "test_paging_by_few_gives_the_same_as_paging_by_many"),
    ("Slipping", "test_a_list_loses_and_doubles_nothing_while_things_come_and_go"),
    ("Doubling", "test_nothing_is_listed_twice"),
    ("Doubling", "test_paging_by_few_gives_the_same_as_paging_by_many"),
    ("Credulous", "test_a_marker_that_was_never_given_is_invalid"),
    ("Lingering", "test_what_was_destroyed_is_gone"),
    ("Forgetful", "test_the_same_token_twice_makes_one_thing"),
    ("Forgetful", "test_the_same_token_from_many_at_once_makes_one_thing"),
    ("Racing", "test_the_same_token_from_many_at_once_makes_one_thing"),
    ("Untyped", "test_every_field_has_the_type_of_the_model"),
    ("Brittle", "test_an_unknown_id_is_not_found"),
    ("OneSided", "test_detaching_is_seen_at_both_ends"),
    ("Grabbing", "test_attaching_to_another_instance_is_a_conflict"),
    ("Torn", "test_an_interrupted_write_leaves_what_was_there"),
    ("Torn", "test_content_not_of_the_told_size_is_invalid_and_leaves_no_trace"),
    ("OffByOne", "test_a_range_gives_just_its_bytes"),
    ("Greedy", "test_a_large_blob_is_read_in_little_memory"),
    ("Unfiltered", "test_a_prefix_shows_what_begins_with_it"),
    ("Repeating", "test_a_delimiter_joins_what_is_alike_up_to_it"),
    ("Hasty", "test_of_many_who_write_only_what_is_new_one_does"),
    ("Hasty", "test_only_over_an_etag_writes_over_that_and_nothing_else"),
    ("Talkative", "test_the_private_part_is_told_only_once"),
    ("Lying", "test_destroy_ends_an_instance_from_each_state_that_allows_it"),
    ("Inventive", "test_a_collection_has_no_operations_of_its_own"),
    ("Inventive", "test_every_feature_is_one_of_the_model"),
    ("Inventive", "test_an_operation_takes_what_its_interface_says"),
    ("Gossiping", "test_a_refusal_does_not_tell_the_secret"),
    ("Sparing", "test_many_blobs_of_any_name_go_at_once_and_the_others_stay"),
    ("Careless", "test_an_uploaded_image_holds_its_bytes"),
    ("Careless", "test_the_same_token_twice_uploads_one_image"),
    ("Careless", "test_an_image_not_of_the_told_size_is_invalid_and_leaves_no_trace"),
    ("Careless", "test_an_interrupted_upload_leaves_no_image"),
    ("Careless", "test_a_visibility_shows_the_images_that_have_it"),
    ("Careless", "test_a_private_image_that_is_shared_says_so"),
    ("Idle", "test_what_changed_since_then_is_told_and_what_did_not_is_not"),
    ("Idle", "test_an_instance_has_an_address_in_the_network_that_was_asked"),
    ("Idle", "test_an_instance_has_the_fixed_address_that_was_asked"),
    ("Idle", "test_a_fixed_address_that_is_none_is_invalid"),
    ("Idle", "test_an_interface_that_was_there_before_outlives_its_instance"),
    ("Idle", "test_a_new_boot_volume_goes_with_its_instance"),
    ("Idle", "test_an_instance_boots_from_a_volume_that_another_left"),
    ("Idle", "test_a_rebuilt_instance_is_of_the_image_and_keeps_its_addresses"),
    ("Idle", "test_a_rescued_instance_runs_until_it_is_unrescued"),
    ("Idle", "test_a_shelved_instance_is_stopped_until_it_is_unshelved"),
    ("Idle", "test_a_locked_instance_is_changed_by_nothing_until_it_is_unlocked"),
    ("Idle", "test_a_link_to_a_console_is_a_url_that_no_repr_shows"),
    ("Selfish", "test_a_shared_volume_is_at_several_instances"),
    ("Selfish", "test_detaching_from_another_instance_is_a_conflict"),
    ("Selfish", "test_a_volume_becomes_of_another_kind"),
    ("Selfish", "test_becoming_of_a_kind_that_no_volume_has_is_invalid"),
    ("Selfish", "test_a_volume_of_an_unknown_image_is_refused"),
    ("Loose", "test_a_router_leads_to_the_external_network_that_was_asked"),
    ("Loose", "test_a_connected_subnet_is_told_until_it_is_disconnected"),
    ("Loose", "test_a_subnet_of_another_router_is_a_conflict"),
    ("Loose", "test_neither_end_of_a_connection_can_go"),
    ("Uncounting", "test_what_was_made_is_counted"),
    ("Open", "test_a_wrong_login_is_unauthorized"),
    ("Open", "test_a_missing_login_is_unauthorized"),
]
# A fault is seen by the tests of what is wrong, not by all tests.
UNCONCERNED = [
    ("Nameless", "test_paging_by_few_gives_the_same_as_paging_by_many"),
    ("Slipping", "test_a_size_that_no_disk_has_is_invalid"),
    ("Racing", "test_the_same_token_twice_makes_one_thing"),
    ("Lying", "test_an_unknown_id_is_not_found"),
    ("Hasty", "test_only_new_writes_once"),
    ("Sound", "test_what_was_destroyed_is_gone"),
]
SKIPPED = ("Indestructible", "test_what_was_destroyed_is_gone")

Outcomes = dict[tuple[str, str], list[tuple[str, str]]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What became of each test on each broken driver: `[("failure", "message")]`."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    wanted = [*CAUGHT, *UNCONCERNED, SKIPPED]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--tb=native"),
            *("-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider"),
            f"--junitxml={report}",
            *(f"{_file_of(driver)}::Test{driver}::{test}" for driver, test in wanted),
        ],
        cwd=HERE.parents[1],
        # Other plugins take longer to load than these tests take to run.
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert report.exists(), done.stdout + done.stderr
    return _read(report)


def _file_of(driver: str) -> Path:
    (found,) = [f for f in HERE.glob("broken*.py") if f"class Test{driver}(" in f.read_text()]
    return found


def _read(report: Path) -> Outcomes:
    found: Outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        driver = case.attrib["classname"].rpartition(".Test")[2]
        test = case.attrib["name"].partition("[")[0]
        marks = [(mark.tag, mark.attrib.get("message", "")) for mark in case]
        found.setdefault((driver, test), []).extend(marks or [("passed", "")])
    return found


@pytest.mark.parametrize(("driver", "test"), CAUGHT, ids=str)
def test_a_broken_driver_fails(outcomes: Outcomes, driver: str, test: str) -> None:
    assert "failure" in {tag for tag, _ in outcomes[driver, test]}


@pytest.mark.parametrize(("driver", "test"), UNCONCERNED, ids=str)
def test_what_is_not_broken_passes(outcomes: Outcomes, driver: str, test: str) -> None:
    assert {tag for tag, _ in outcomes[driver, test]} == {"passed"}


def test_a_deleted_operation_is_a_skip_with_its_reason(outcomes: Outcomes) -> None:
    assert outcomes[SKIPPED] == [("skipped", "mock has no volumes.destroy")]


def test_what_is_left_behind_is_an_error(outcomes: Outcomes) -> None:
    told = [
        m for tag, m in outcomes["Lingering", "test_what_was_destroyed_is_gone"] if tag == "error"
    ]
    assert any("left over: volumes" in message for message in told)
