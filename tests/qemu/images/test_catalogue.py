"""The catalogue of images on disk."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nimbi.qemu import Conflict, GuestSpec, Image, ImageState, Invalid, NotFound
from nimbi.qemu.images.store import DISK, INITRD, KERNEL, MANIFEST, Facts, ImageStore, link_parts

VERSION_1 = Path(__file__).parents[1] / "state" / "version_1" / "images"
FACTS = Facts(
    name="n", description="", recipe="r", disk_bytes=2 * 2**30, architecture="x86_64",
    boot_modes=("bios", "uefi"), least_memory_mib=256,
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def parts(place: Path, **content: bytes) -> Path:
    place.mkdir()
    for name, data in {DISK: b"disk", **content}.items():
        (place / name).write_bytes(data)
    return place


def blobs(store: ImageStore) -> list[Path]:
    return list((store.root / "blobs").iterdir())


def test_an_image_of_version_1_is_still_one(tmp_path: Path):
    shutil.copytree(VERSION_1, tmp_path / "images")
    (image,) = ImageStore(tmp_path / "images").all()
    assert (image.boot, image.says_ready, image.login_user) == ("kernel", True, "root")
    assert (image.state, image.origin) == (ImageState.AVAILABLE, "demo")
    assert set(image.parts) == {KERNEL, INITRD, DISK}


def test_an_image_is_read_as_it_was_written(store: ImageStore, tmp_path: Path):
    image = store.add(parts(tmp_path / "p"), FACTS)
    assert store.get(image.id) == image == store.by_recipe("r")
    assert image.size_bytes == 4
    assert (image.path / DISK).stat().st_mode & 0o777 == 0o400


def test_equal_parts_of_different_images_are_one_file(store: ImageStore, tmp_path: Path):
    one = store.add(parts(tmp_path / "1", kernel=b"k"), FACTS)
    two = store.add(parts(tmp_path / "2", kernel=b"k", initrd=b"i"), FACTS)
    assert one.id != two.id
    assert (one.path / KERNEL).samefile(two.path / KERNEL)
    assert len(blobs(store)) == 3
    store.remove(one.id)
    assert (two.path / KERNEL).read_bytes() == b"k"
    store.remove(two.id)
    assert blobs(store) == []
    with pytest.raises(NotFound):
        store.remove(two.id)


def test_a_promised_image_is_pending_until_its_disk_is_there(store: ImageStore, tmp_path: Path):
    source = store.add(parts(tmp_path / "1", kernel=b"k"), FACTS)
    (tmp_path / "2").mkdir()
    link_parts(source, tmp_path / "2")
    id = "img-0123456789abcdef"
    image = store.promise(tmp_path / "2", FACTS, id, "i-1")
    assert (image.id, image.state, image.guest_id) == (id, ImageState.PENDING, "i-1")
    assert store.by_recipe("r") == source
    with pytest.raises(Conflict):
        store.usable(id)
    store.clean()
    assert store.get(id) == image
    done = store.keep_promise(id, parts(tmp_path / "3"))
    assert store.usable(id) == done
    assert done.digest == source.digest
    assert (done.path / DISK).samefile(source.path / DISK)
    # Killed right after the disk was linked: the same is done once more.
    store.note(id, ImageState.PENDING)
    assert store.keep_promise(id, parts(tmp_path / "4")) == done


def test_a_failed_image_says_why(store: ImageStore, tmp_path: Path):
    (tmp_path / "p").mkdir()
    id = store.promise(tmp_path / "p", FACTS, "img-0123456789abcdef", "i-1").id
    assert store.note(id, ImageState.ERROR, "why").reason == "why"
    assert store.get(id).state is ImageState.ERROR
    store.remove(id)
    with pytest.raises(NotFound):
        store.keep_promise(id, parts(tmp_path / "d"))


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b'{"state": "odd"}'])
def test_a_damaged_manifest_hides_one_image_only(store: ImageStore, tmp_path: Path, damage: bytes):
    bad = store.add(parts(tmp_path / "1"), FACTS)
    good = store.add(parts(tmp_path / "2", kernel=b"k"), FACTS)
    (bad.path / MANIFEST).write_bytes(damage)
    assert store.all() == [good]
    with pytest.raises(NotFound):
        store.get(bad.id)


def test_what_a_newer_program_added_does_no_harm_to_others(store: ImageStore, tmp_path: Path):
    image = store.add(parts(tmp_path / "1"), FACTS)
    told = json.loads((image.path / MANIFEST).read_bytes())
    (image.path / MANIFEST).write_text(json.dumps({**told, "boot_modes": ["uefi"]}))
    assert store.get(image.id) == replace(image, boot_modes=("uefi",))


@pytest.mark.parametrize("id", ["", ".", "..", "blobs", "img-x", "../images/x", "img-1\0"])
def test_what_cannot_be_an_id_is_not_found(store: ImageStore, id: str):
    with pytest.raises(NotFound):
        store.get(id)
    with pytest.raises(NotFound):
        store.remove(id)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (GuestSpec(name="n", image_id="i", memory_mib=256, disk_gib=1), "disk_gib"),
        (GuestSpec(name="n", image_id="i", memory_mib=255, disk_gib=2), "memory_mib"),
        (GuestSpec(name="n", image_id="i", memory_mib=256, disk_gib=2, boot="kernel"), "boot"),
    ],
)
def test_a_guest_that_the_image_does_not_boot_on_is_invalid(spec: GuestSpec, why: str):
    with pytest.raises(Invalid, match=why):
        FACTS.check(spec)


def test_a_guest_that_fits_is_not_refused():
    FACTS.check(GuestSpec(name="n", image_id="i", memory_mib=256, disk_gib=2, boot="uefi"))


def test_torn_workspaces_and_lonely_blobs_are_swept(store: ImageStore, tmp_path: Path):
    image: Image = store.add(parts(tmp_path / "1"), FACTS)
    (store.root / ".new-torn").mkdir()
    (store.root / "blobs" / "sha256-00").write_bytes(b"x")
    store.clean()
    assert {path.name for path in store.root.iterdir()} == {"blobs", image.id}
    assert len(blobs(store)) == 1
