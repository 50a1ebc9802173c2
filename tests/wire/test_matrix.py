import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.wire.matrix import Segment, join, split

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
SEGMENTS = st.builds(Segment, TEXT, st.dictionaries(NAMES, TEXT, max_size=3))


@given(st.lists(SEGMENTS, min_size=1, max_size=4))
def test_what_is_joined_is_split_again(segments: list[Segment]) -> None:
    assert split(join(segments)) == tuple(segments)


@given(st.lists(SEGMENTS, min_size=1, max_size=4))
def test_a_joined_path_holds_nothing_that_must_be_quoted(segments: list[Segment]) -> None:
    path = join(segments).decode("ascii")
    assert path.isprintable()
    assert not set(path) & set(" \"'<>&?#")


@given(st.binary(max_size=40))
def test_any_bytes_are_split_or_refused(path: bytes) -> None:
    try:
        segments = split(b"/" + path)
    except ValueError:
        return
    assert len(segments) == path.count(b"/") + 1


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        (b"/api", [Segment("api")]),
        (b"/api;driver=ec2", [Segment("api", {"driver": "ec2"})]),
        (
            b"/api;provider=eu-west-1;driver=ec2/realms/us",
            [
                Segment("api", {"provider": "eu-west-1", "driver": "ec2"}),
                Segment("realms"),
                Segment("us"),
            ],
        ),
        (b"/a;k", [Segment("a", {"k": ""})]),
        (b"/a;k=", [Segment("a", {"k": ""})]),
        (b"/a;;k=v;", [Segment("a", {"k": "v"})]),
        (b"/a;=v", [Segment("a")]),
        (b"/a;k=1;k=2", [Segment("a", {"k": "2"})]),
        (b"/a;k=x=y", [Segment("a", {"k": "x=y"})]),
        (b"/a/", [Segment("a"), Segment("")]),
        (b"//", [Segment(""), Segment("")]),
    ],
)
def test_paths_are_split_as_told(path: bytes, segments: list[Segment]) -> None:
    assert split(path) == tuple(segments)


def test_an_encoded_slash_or_semicolon_stays_within_its_segment() -> None:
    assert split(b"/api/a%2Fb%3Bdriver%3Dx") == (Segment("api"), Segment("a/b;driver=x"))


@pytest.mark.parametrize("path", [b"", b"api", b"/%", b"/%g1", b"/%ff", b"/\xff", b"/a;k=%c3"])
def test_what_is_no_path_is_refused(path: bytes) -> None:
    with pytest.raises(ValueError):
        split(path)
