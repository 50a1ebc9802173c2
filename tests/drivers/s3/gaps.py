"""Tests that a stand-in cannot pass, by class and name, with the reason."""

SWIFT_SLOW = "thousands of calls, each of which takes Swift long; pages of 3 are looked at"
MOTO_NEWLINE = "moto knows no key with a newline"
LISTS = "test_a_delimiter_joins_what_is_alike_up_to_it"
GAPS = {
    f"TestBlobsOfSwift::{LISTS}[1]": SWIFT_SLOW,
    f"TestBlobsOfSwift::{LISTS}[2]": SWIFT_SLOW,
    "TestBlobs::test_a_blob_of_any_name_is_kept_or_refused[newline]": MOTO_NEWLINE,
    "TestBlobs::test_a_blob_of_any_name_can_be_copied[newline]": MOTO_NEWLINE,
    "TestBlobs::test_of_many_writers_at_once_one_wins_whole": (
        "moto at times answers 500 to writes at the same moment"
    ),
    "TestBlobs::test_of_many_who_write_only_what_is_new_one_does": (
        "moto looks and writes in two steps, between which another one writes"
    ),
    "TestBlobs::test_after_an_abort_the_upload_is_unknown": (
        "moto fails at a part of an upload that was aborted"
    ),
}


def gap(nodeid: str) -> str | None:
    """Return why a test cannot pass; None when it can."""
    name = nodeid.partition("::")[2]
    return GAPS.get(name)
