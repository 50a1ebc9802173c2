"""The pieces under the demo image."""

import subprocess
from pathlib import Path

import pytest

from nimbi.qemu import Failed
from nimbi.qemu.images.builders import cpio
from nimbi.qemu.images.builders.kernel import installed, unpacked
from nimbi.qemu.images.builders.modules import ModuleTree


def test_the_cpio_archive_is_one_that_cpio_reads(tmp_path: Path):
    made = cpio.archive(
        [cpio.directory("d"), cpio.file("d/f", b"abc", 0o755), cpio.link("d/l", "f")]
    )
    subprocess.run(["cpio", "-id", "--quiet"], input=made, cwd=tmp_path, check=True)
    assert (tmp_path / "d/l").read_bytes() == b"abc"
    assert (tmp_path / "d/f").stat().st_mode & 0o777 == 0o755


def module(root: Path, name: str, needs: str) -> None:
    file = root / "kernel" / f"{name}.ko"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\x7fELF\0depends=" + needs.encode() + b"\0name=x\0")


def test_modules_are_loaded_after_what_they_need(tmp_path: Path):
    module(tmp_path, "virtio-net", "virtio,net_failover")
    module(tmp_path, "net_failover", "failover")
    for name in ("failover", "virtio"):
        module(tmp_path, name, "")
    (tmp_path / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n")
    order = list(ModuleTree(tmp_path).load_order(["ext4", "virtio_net"]))
    assert order == ["virtio", "failover", "net_failover", "virtio_net"]
    with pytest.raises(Failed):
        ModuleTree(tmp_path).load_order(["isofs"])


def test_the_newest_kernel_that_has_modules_is_taken(tmp_path: Path):
    for release in ("6.1.0-9-cloud-amd64", "6.1.0-10-cloud-amd64", "6.12.0-amd64", "7.0-none"):
        (tmp_path / "k/boot").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"k/boot/vmlinuz-{release}").write_bytes(b"")
        if "none" not in release:
            (tmp_path / f"k/lib/modules/{release}/kernel").mkdir(parents=True)
    found = unpacked(tmp_path)
    assert found
    assert found.release == "6.1.0-10-cloud-amd64"
    assert installed(tmp_path / "k/boot", tmp_path) is None
