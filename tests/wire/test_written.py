"""Documents are written again when, and only when, their list is another one."""

from nimbi.wire.written import LONGEST_BYTES, MOST_DOCUMENTS, MOST_NEW, Documents

HOW = ("realms", "xml")


def test_the_very_same_tuple_is_written_once() -> None:
    documents, items = Documents(), (object(),)
    kept = documents.keep(items, HOW, b"<realms/>")
    assert documents.find(items, HOW) is kept


def test_an_equal_list_is_another_one() -> None:
    documents, things = Documents(), [1, 2]
    documents.keep(tuple(things), HOW, b"<realms/>")
    assert documents.find(tuple(things), HOW) is None


def test_another_way_of_writing_is_another_document() -> None:
    documents, items = Documents(), (object(),)
    documents.keep(items, HOW, b"<realms/>")
    assert documents.find(items, ("realms", "json")) is None


def test_lists_that_can_change_are_not_kept() -> None:
    documents, items = Documents(), [1]
    documents.keep(items, HOW, b"<realms/>")
    assert documents.find(items, HOW) is None


def test_long_documents_are_not_kept() -> None:
    documents, items = Documents(), (1,)
    documents.keep(items, HOW, b"x" * (LONGEST_BYTES + 1))
    assert documents.find(items, HOW) is None


def test_the_oldest_document_makes_room() -> None:
    documents = Documents()
    lists = [(n,) for n in range(MOST_DOCUMENTS + 1)]
    for items in lists:
        documents.keep(items, HOW, b"<realms/>")
        documents.find(items, HOW)
    assert documents.find(lists[0], HOW) is None
    assert documents.find(lists[1], HOW) is not None


def test_lists_that_never_come_again_push_nothing_out() -> None:
    documents, again = Documents(), (0,)
    documents.keep(again, HOW, b"<realms/>")
    documents.find(again, HOW)
    passing = [(n,) for n in range(1, MOST_NEW + 2)]
    for items in passing:
        documents.keep(items, HOW, b"<realms/>")
    assert documents.find(again, HOW) is not None
    assert documents.find(passing[0], HOW) is None
    assert documents.find(passing[-1], HOW) is not None
