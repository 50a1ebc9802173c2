"""What was read of answers that come again."""

from nimbi.wire.readings import Readings


def test_what_was_read_of_a_text_is_found_by_the_same_text_read_the_same_way() -> None:
    readings: Readings[list[str]] = Readings()
    kept = ["a"]
    readings.keep("lists", b"<a/>", kept)
    assert readings.find("lists", b"<a/>") is kept
    assert readings.find("lists", b"<b/>") is None
    assert readings.find("trees", b"<a/>") is None


def test_the_longest_unused_makes_room() -> None:
    readings: Readings[int] = Readings(most_bytes=100)
    for number in range(4):
        readings.keep("", b"%025d" % number, number)
    assert readings.find("", b"%025d" % 0) == 0
    readings.keep("", b"%025d" % 4, 4)
    assert [readings.find("", b"%025d" % number) for number in range(5)] == [0, None, 2, 3, 4]


def test_one_text_does_not_drive_out_all_others() -> None:
    readings: Readings[int] = Readings(most_bytes=100)
    readings.keep("", b"a", 1)
    readings.keep("", bytes(26), 2)
    assert readings.find("", bytes(26)) is None
    assert readings.find("", b"a") == 1


def test_a_text_that_is_kept_twice_counts_once() -> None:
    readings: Readings[int] = Readings(most_bytes=100)
    readings.keep("", b"a" * 25, 1)
    for _ in range(10):
        readings.keep("", b"b" * 25, 2)
    assert readings.find("", b"a" * 25) == 1
