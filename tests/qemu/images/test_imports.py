"""Images of strangers: what is imported, and what is refused before it can do harm."""

import asyncio
import gzip
import hashlib
import os
import secrets
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tests.qemu.images.conftest import MIB, Converted, Site, boot_sector, patched

from nimbi.qemu import Capacity, Failed, Invalid, NotFound, Order, QemuError
from nimbi.qemu.host import capacity
from nimbi.qemu.images.boot_sector import boot_modes
from nimbi.qemu.images.imports import import_image
from nimbi.qemu.images.store import DISK, ImageStore

QCOW2_SIZE_AT, QCOW2_CRYPT_AT, QCOW2_FEATURES_AT = 24, 32, 72
VMDK_CAPACITY_AT, VMDK_DESCRIPTOR = 12, 512


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "state" / "images")


async def imported(store: ImageStore, source: Path | str, **more: str):
    return await import_image(store, store.root.parent, Order(source=str(source), **more))


def left_over(store: ImageStore) -> list[str]:
    """Return what there is beside whole images: all else would be a leak."""
    known = {"blobs", *(image.id for image in store.all())}
    spare = [path.name for path in store.root.iterdir() if path.name not in known]
    return spare + [b.name for b in (store.root / "blobs").iterdir() if b.stat().st_nlink == 1]


def ran(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def bytes_of(file: Path) -> bytes:
    return file.read_bytes()


def sum_of(file: Path) -> str:
    return hashlib.sha256(bytes_of(file)).hexdigest()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("raw", ()),
        ("qcow2", ()),
        ("qcow2", ("-o", "compat=0.10")),
        ("qcow2", ("-c", "-o", "compression_type=zstd")),
        ("vmdk", ()),
        ("vmdk", ("-o", "subformat=streamOptimized")),
        ("vpc", ("-o", "force_size=on")),
        ("vpc", ("-o", "subformat=fixed,force_size=on")),
        ("vhdx", ()),
    ],
)
async def test_each_format_is_found_out_and_gives_the_same_disk(
    store: ImageStore, raw: Path, converted: Converted, kind: str, options: tuple[str, ...]
):
    source = converted(kind, *options)
    image = await imported(store, source, name="mine", sha256=sum_of(source))
    assert (image.name, image.boot_modes, image.says_ready) == ("mine", ("bios",), False)
    compare = ["qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, image.path / DISK]
    ran(*compare)
    assert image.path.joinpath(DISK).read_bytes()[4:8] == struct.pack(">I", 3)
    assert left_over(store) == []


async def test_the_same_content_is_stored_once(store: ImageStore, raw: Path, tmp_path: Path):
    first = await imported(store, raw)
    shutil.copy(raw, tmp_path / "copy.raw")
    assert (await imported(store, tmp_path / "copy.raw")).id == first.id
    assert len(store.all()) == 1
    assert len(list((store.root / "blobs").iterdir())) == 1


async def test_a_removed_image_leaves_nothing(store: ImageStore, raw: Path):
    store.remove((await imported(store, raw)).id)
    assert [path.name for path in store.root.iterdir()] == ["blobs"]
    assert list((store.root / "blobs").iterdir()) == []


async def test_a_backing_file_is_refused(store: ImageStore, tmp_path: Path):
    evil = tmp_path / "evil.qcow2"
    command = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd"]
    ran(*command, evil, "1M")
    with pytest.raises(Invalid, match="backing file"):
        await imported(store, evil)


async def test_an_external_data_file_is_refused(store: ImageStore, tmp_path: Path):
    evil, data = tmp_path / "evil.qcow2", tmp_path / "data"
    options = f"data_file={data},data_file_raw=on"
    ran("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, evil, "1M")
    with pytest.raises(Invalid, match="external data file"):
        await imported(store, evil)


@pytest.mark.parametrize(
    ("at", "data", "why"),
    [
        (QCOW2_SIZE_AT, struct.pack(">Q", 2**60), "disk has 1152921504606846976 bytes"),
        (QCOW2_SIZE_AT, struct.pack(">Q", 0), "disk has 0 bytes"),
        (QCOW2_CRYPT_AT, struct.pack(">I", 2), "encrypted"),
        (QCOW2_FEATURES_AT, struct.pack(">Q", 2), "corrupt"),
        (QCOW2_FEATURES_AT, struct.pack(">Q", 2**63), "feature"),
        (4, struct.pack(">I", 1), "version 1"),
        (20, struct.pack(">I", 40), "clusters"),
        # The first-level table lies far behind the end of the file.
        (40, struct.pack(">Q", 2**40), "can't read"),
    ],
)
async def test_a_header_that_lies_is_refused(
    store: ImageStore, converted: Converted, at: int, data: bytes, why: str
):
    with pytest.raises(Invalid, match=why):
        await imported(store, patched(converted("qcow2"), at, data))
    assert left_over(store) == []


@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vpc", "vhdx"])
@pytest.mark.parametrize("kept", [20, 600, 0.7])
async def test_a_truncated_image_is_refused(
    store: ImageStore, converted: Converted, kind: str, kept: float
):
    source = converted(kind)
    size = source.stat().st_size
    os.truncate(source, int(kept if kept > 1 else kept * size))
    with pytest.raises(Invalid):
        await imported(store, source)
    assert left_over(store) == []


async def test_a_raw_disk_whose_partitions_are_cut_off_is_refused(store: ImageStore, tmp_path):
    (tmp_path / "cut.raw").write_bytes(boot_sector(10**6).ljust(MIB, b"\0"))
    with pytest.raises(Invalid, match="cut off"):
        await imported(store, tmp_path / "cut.raw")


DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="monolithicFlat"
RW 8 FLAT "/etc/passwd" 0
"""


async def test_a_vmdk_descriptor_with_other_files_is_refused(store: ImageStore, tmp_path: Path):
    (tmp_path / "evil.vmdk").write_text(DESCRIPTOR)
    with pytest.raises(Invalid, match="other files"):
        await imported(store, tmp_path / "evil.vmdk")


async def test_a_vmdk_that_hides_such_a_descriptor_is_refused(
    store: ImageStore, converted: Converted
):
    evil = patched(converted("vmdk"), VMDK_CAPACITY_AT, struct.pack("<Q", 0))
    patched(evil, VMDK_DESCRIPTOR, DESCRIPTOR.encode())
    with pytest.raises(Invalid, match="other files"):
        await imported(store, evil)


async def test_a_vmdk_with_a_parent_is_refused(store: ImageStore, converted: Converted):
    evil = converted("vmdk")
    at = evil.read_bytes().index(b"CID=")
    patched(evil, at, b'parentFileNameHint="/etc/passwd"\n')
    with pytest.raises(Invalid):
        await imported(store, evil)


async def test_a_differencing_vhd_is_refused(store: ImageStore, converted: Converted):
    evil = converted("vpc")
    patched(evil, 60, struct.pack(">I", 4))
    with pytest.raises(Invalid, match="differencing"):
        await imported(store, evil)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no disk image"),
        (b"x" * 4096, "no disk image"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"<!doctype html><title>Login</title>", "web page"),
        (b"PK\x03\x04".ljust(512), "zip"),
        (bytes(0x40) + b"\x7f\x10\xda\xbe" + bytes(512), "VDI"),
        (bytes(510) + b"\x55\xaa", "no boot code"),
    ],
)
async def test_what_is_no_bootable_disk_is_refused(
    store: ImageStore, tmp_path: Path, content: bytes, why: str
):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(Invalid, match=why):
        await imported(store, tmp_path / "file")


async def test_an_image_that_grows_beyond_the_disk_is_stopped(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bomb, plain = tmp_path / "bomb.qcow2", tmp_path / "plain.raw"
    with plain.open("wb") as disk:
        disk.write(boot_sector(2048))
        for _ in range(400):
            disk.write(b"A" * MIB)
    ran("qemu-img", "convert", "-c", "-O", "qcow2", plain, bomb)
    plain.unlink()
    assert bomb.stat().st_size < 10 * MIB
    free = shutil.disk_usage(tmp_path).free // MIB
    monkeypatch.setattr(capacity, "HOST_DISK_MIB", free - 200)
    with pytest.raises(Capacity):
        await imported(store, bomb)
    assert left_over(store) == []


async def test_a_file_larger_than_the_room_is_refused_before_it_is_copied(
    store: ImageStore, tmp_path: Path
):
    with (tmp_path / "huge.raw").open("wb") as disk:
        disk.write(boot_sector(2048))
        disk.truncate(2**36)
    with (tmp_path / "vast.raw").open("wb") as disk:
        disk.truncate(2**37)
    with pytest.raises(Invalid, match="more than"):
        await imported(store, tmp_path / "vast.raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capacity, "HOST_DISK_MIB", 2**40)
        with pytest.raises(Capacity):
            await imported(store, tmp_path / "huge.raw")


async def test_a_wrong_digest_is_refused(store: ImageStore, raw: Path):
    with pytest.raises(Invalid, match="SHA-256"):
        await imported(store, raw, sha256="0" * 64)
    assert left_over(store) == []


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("/no/such/file", NotFound),
        ("/dev/zero", Invalid),
        ("/", Invalid),
        ("a\0b", Invalid),
        ("file:///etc/passwd", Invalid),
        ("ftp://127.0.0.1/x", Invalid),
        ("http://", Invalid),
        ("http://user:secret@127.0.0.1/x", Invalid),
        ("http://127.0.0.1:99999/x", Invalid),
        ("http://127.0.0.1/a b", Invalid),
        ("http://127.0.0.1:1/x", Failed),
    ],
)
async def test_a_source_that_cannot_be_fetched_is_told(
    store: ImageStore, source: str, kind: type[QemuError]
):
    with pytest.raises(kind) as caught:
        await imported(store, source)
    assert "secret" not in str(caught.value)
    assert left_over(store) == []


async def test_a_pipe_is_no_image(store: ImageStore, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Invalid, match="regular"):
        await imported(store, tmp_path / "pipe")


async def test_a_url_is_fetched_through_redirects_with_its_progress_told(
    store: ImageStore, raw: Path, site: Site
):
    body = bytes_of(raw)
    site.answers["/a.img?x=1"] = (302, {"Location": "/b.img"}, b"")
    site.answers["/b.img"] = (200, {"Content-Length": str(len(body))}, body)
    told: list[tuple[str, float]] = []
    order = Order(source=site.url("/a.img?x=1"))
    image = await import_image(
        store, store.root.parent, order, lambda step, share: told.append((step, share))
    )
    assert image.name == "a"
    assert told[-1] == ("the image is ready", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert any("of 8 MiB" in step for step, _ in told)


async def test_a_url_of_unknown_length_is_fetched(store: ImageStore, raw: Path, site: Site):
    site.answers["/x"] = (200, {}, bytes_of(raw))
    assert (await imported(store, site.url("/x"))).size_bytes


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/", "//user:x@127.0.0.1/"])
async def test_a_redirect_to_another_kind_of_place_is_refused(
    store: ImageStore, site: Site, place: str
):
    site.answers["/x"] = (302, {"Location": place}, b"")
    with pytest.raises(Invalid):
        await imported(store, site.url("/x"))


async def test_redirects_end(store: ImageStore, site: Site):
    for number in range(20):
        site.answers[f"/{number}"] = (302, {"Location": f"/{number + 1}"}, b"")
    with pytest.raises(Invalid, match="too often"):
        await imported(store, site.url("/0"))
    assert len(site.asked) <= 6


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (403, Failed), (500, Failed)])
async def test_a_server_that_refuses_is_told(store: ImageStore, site: Site, status, kind):
    site.answers["/x"] = (status, {}, b"")
    with pytest.raises(kind, match=str(status)):
        await imported(store, site.url("/x"))


async def test_a_torn_download_is_never_an_image(store: ImageStore, raw: Path, site: Site):
    body = bytes_of(raw)
    site.answers["/x"] = (200, {"Content-Length": str(len(body))}, body[: 5 * MIB])
    with pytest.raises(Failed, match="cut off"):
        await imported(store, site.url("/x"))
    assert (store.all(), left_over(store)) == ([], [])


async def test_a_caller_who_gives_up_leaves_nothing(store: ImageStore, raw: Path):
    begun = asyncio.Event()
    order = Order(source=str(raw))
    work = import_image(store, store.root.parent, order, lambda step, share: begun.set())
    task = asyncio.create_task(work)
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (store.all(), left_over(store)) == ([], [])


def test_a_disk_with_an_efi_partition_boots_by_uefi_too(tmp_path: Path):
    disk = tmp_path / "disk"
    with disk.open("wb") as new:
        new.truncate(64 * MIB)
    ran("sgdisk", "-n", "1:1M:+32M", "-t", "1:ef00", disk)
    head = disk.read_bytes()[:MIB]
    assert boot_modes(head, 64 * MIB) == ("uefi",)
    assert boot_modes(b"\xeb" + head[1:], 64 * MIB) == ("bios", "uefi")
    with pytest.raises(Invalid, match="cut off"):
        boot_modes(head, 16 * MIB)


VICTIM = """
import asyncio, os, signal, sys
from pathlib import Path
from nimbi.qemu import Order
from nimbi.qemu.images.store import ImageStore
from nimbi.qemu.images.imports import import_image

root, source, at = sys.argv[1:]
WATCHED = {"os.rename", "os.mkdir", "os.remove", "subprocess.Popen", "fcntl.flock", "os.link"}
left = int(at)

def hook(event, arguments):
    global left
    if event in WATCHED:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

store = ImageStore(Path(root) / "images")
sys.addaudithook(hook)
asyncio.run(import_image(store, Path(root), Order(source=source)))
print(int(at) - left)
"""


# Every event, up to the end: which is which may change with the code.
@pytest.mark.parametrize("at", range(1, 27))
async def test_an_import_killed_anywhere_leaves_nothing_and_works_again(
    store: ImageStore, raw: Path, at: int
):
    root = store.root.parent
    command = [sys.executable, "-c", VICTIM, str(root), str(raw), str(at)]
    ended = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE)
    assert ended.returncode in {0, -signal.SIGKILL}, ended
    store.clean()
    assert left_over(store) == []
    assert len(store.all()) <= 1
    image = await imported(store, raw)
    assert [found.id for found in store.all()] == [image.id]
    assert left_over(store) == []


@pytest.mark.parametrize("verb", ["info", "convert", "dd"])
async def test_a_killed_qemu_img_leaves_nothing(
    store: ImageStore, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
):
    shim = tmp_path / "bin" / "qemu-img"
    shim.parent.mkdir()
    real = shutil.which("qemu-img")
    shim.write_text(f'#!/bin/sh\n[ "$1" = {verb} ] && kill -9 $$\nexec {real} "$@"\n')
    shim.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
        with pytest.raises(Failed, match="signal 9"):
            await imported(store, raw)
    assert (store.all(), left_over(store)) == ([], [])
    assert (await imported(store, raw)).size_bytes


async def test_two_who_import_the_same_get_the_same(store: ImageStore, raw: Path):
    first, second = await asyncio.gather(imported(store, raw), imported(store, raw))
    assert first.id == second.id
    assert left_over(store) == []


@pytest.mark.parametrize(
    "order",
    [
        Order(source="x", name="a\nb"),
        Order(source="x", name="n" * 256),
        Order(source="x", description="\0"),
        Order(source="x", sha256="abc"),
        Order(source="x", login_user="a b"),
        Order(source="x", login_user="-oProxyCommand"),
    ],
)
async def test_an_order_that_cannot_be_meant_is_invalid(store: ImageStore, order: Order):
    with pytest.raises(Invalid):
        await import_image(store, store.root.parent, order)


def test_the_name_of_a_workspace_is_random():
    # Nothing of a source's name becomes a path here.
    assert Order(source="../../x.qcow2").shown_name == "x"
    assert Order(source=f"http://h/{secrets.token_hex()}.img?x").shown_name.isalnum()
