"""Lists by prefix and delimiter against the plainest way to make them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.blobstore.conftest import BUCKET, put

from nimbi.blobstore import BlobStore, Invalid, Listing, NotFound
from nimbi.blobstore.contents import Contents
from nimbi.blobstore.index import Index
from nimbi.blobstore.listing import listing

# Few letters, so that names share starts and hold delimiters; some of them of many bytes.
LETTERS = st.sampled_from("ab/-é\u07ff\U0010ffff\0\x7f")
TEXTS = st.text(LETTERS, max_size=6)


def brute(names: set[str], prefix: str, delimiter: str) -> list[str]:
    """Return the blobs and the prefixes of a whole list, in order."""
    entries = set()
    for name in names:
        if name.startswith(prefix):
            head, cut, _ = (
                name.removeprefix(prefix).partition(delimiter) if delimiter else (name, "", "")
            )
            entries.add(prefix + head + cut if cut else name)
    return sorted(entries)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("index")
    return Index(root, Contents(root))


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sets(TEXTS.filter(bool), max_size=25), TEXTS, st.text(LETTERS, max_size=2), st.data())
def test_pages_of_any_size_make_the_list_by_prefix_and_delimiter(
    index: Index, names: set[str], prefix: str, delimiter: str, data: st.DataObject
):
    def fill(db):
        db.execute("delete from blob")
        db.executemany(
            "insert into blob values (1, ?, 0, '', null, 0, null, '', 0)",
            [(name.encode(),) for name in names],
        )

    index.change(fill)
    after, entries, blobs = None, [], []
    while True:
        limit = data.draw(st.integers(1, 5))
        with index.read() as db:
            page = listing(db, 1, prefix, delimiter, after, limit)
        told = sorted([*(blob.name for blob in page.blobs), *page.prefixes])
        assert len(told) <= limit
        assert page.last is None or page.last == told[-1]
        entries += told
        blobs += [blob.name for blob in page.blobs]
        if (after := page.last) is None:
            break
    assert entries == brute(names, prefix, delimiter)
    assert blobs == [name for name in entries if name in names and name in blobs]


async def test_folders_are_told_once_and_leapt_over(store: BlobStore):
    for number in range(40):
        await put(store, f"folder/{number:02}", b"x")
    await put(store, "z", b"x")
    page = await store.blobs.page(BUCKET, delimiter="/", limit=2)
    assert ([b.name for b in page.blobs], page.prefixes, page.last) == (["z"], ("folder/",), None)


async def test_a_page_ends_with_a_mark_only_when_more_comes(store: BlobStore):
    for name in ("a", "b", "c"):
        await put(store, name, b"x")
    assert (await store.blobs.page(BUCKET, limit=3)).last is None
    first = await store.blobs.page(BUCKET, limit=2)
    assert first.last == "b"
    rest = await store.blobs.page(BUCKET, limit=2, after=first.last)
    assert ([blob.name for blob in rest.blobs], rest.last) == (["c"], None)


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_limit_has_bounds(store: BlobStore, limit: int):
    with pytest.raises(Invalid):
        await store.blobs.page(BUCKET, limit=limit)


async def test_an_unknown_bucket_has_no_list(store: BlobStore):
    with pytest.raises(NotFound):
        await store.blobs.page("other")


async def test_what_no_name_can_begin_with_lists_nothing(store: BlobStore):
    await put(store, "a", b"x")
    assert await store.blobs.page(BUCKET, prefix="\ud800") == Listing((), (), None)
