"""The Debian image, built for real and booted both ways."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nimbi.qemu import GuestSpec, Hypervisor, Image, Missing, State, open_hypervisor
from nimbi.qemu.disks.agent import agent
from nimbi.qemu.guests.keys import generate
from nimbi.qemu.images.builders import debian_image, debian_tree

BOOT_S = 600
CHECKS = """
set -e
whoami
sudo cat '/etc/a folder/file'
sudo grep -c '^debian:[$]' /etc/shadow
test "$(df --output=size -m / | tail -n 1)" -gt 2500
test "$LANG" = C.UTF-8
test ! -e /sys/firmware/efi || echo EFI
systemctl --failed --no-legend
"""
# A kernel's new initial disk, which takes longest and is the same however it boots.
NEW_KERNEL = """
sudo mount /boot/efi
sudo rm /boot/efi/nimbi/initrd
sudo umount /boot/efi
sudo /etc/kernel/postinst.d/zz-nimbi
sudo mount /boot/efi
sudo cmp /boot/efi/nimbi/initrd /initrd.img
sudo cmp /boot/efi/nimbi/vmlinuz /vmlinuz
"""
WHO = """
cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | awk '/^deb /{print $3}' | sort -u
cat /etc/machine-id
"""


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Hypervisor]:
    async with open_hypervisor(tmp_path) as hypervisor:
        yield hypervisor
        for guest in await hypervisor.guests():
            await hypervisor.destroy(guest.id)


async def booted(own: Hypervisor, image: Image, boot: str) -> list[str]:
    """Boot a guest, log in by the given key, ask its agent, shut it down; return what it said."""
    checks = CHECKS + (NEW_KERNEL if boot == "uefi" else "") + WHO
    public, private = generate("ed25519")
    spec = GuestSpec(
        name=f"by {boot}",
        image_id=image.id,
        memory_mib=384,
        disk_gib=3,
        public_keys=(public,),
        password="se cret",
        user_files={"/etc/a folder/file": b"given\n"},
        boot=boot,
    )
    guest = await own.create(spec)
    guest = await own.wait(guest.id, frozenset({State.RUNNING, State.ERROR}), BOOT_S)
    assert guest.state is State.RUNNING, (guest.reason, await own.console(guest.id))
    said = await own.run(guest.id, checks, private, user="debian", within_s=480)
    assert said.exit_code == 0, said
    async with agent(own.root / "guests" / guest.id / "agent.sock", 180) as line:
        assert (await line.ask("guest-get-osinfo", 90))["id"] == "debian"
    await own.stop(guest.id, within_s=120)
    await own.wait(guest.id, frozenset({State.STOPPED}), BOOT_S)
    return said.out.decode().split("\n")[:-1]


# The two boots keep two processors busy; one after the other they would take twice as long.
@pytest.mark.minutes
@pytest.mark.slow
@pytest.mark.guest
async def test_a_debian_image_boots_by_bios_and_by_uefi(
    own: Hypervisor, request: pytest.FixtureRequest
):
    if not os.environ.get("CI") and "slow" not in request.config.option.markexpr:
        pytest.skip("builds a whole Debian: `pytest -m slow` runs it")
    steps: list[float] = []
    image = await own.build_debian_image(lambda step, share: steps.append(share))
    assert steps == sorted(steps)
    assert len(steps) > 5
    assert image.boot_modes == ("bios", "uefi")
    # The same packages give the same image, at once.
    assert await own.build_debian_image() == image
    by_bios, by_uefi = await asyncio.gather(booted(own, image, "bios"), booted(own, image, "uefi"))
    # Written by the guest itself: the image holds no source of this host.
    suites = [s for s in by_bios if s.startswith(debian_tree.suite())]
    assert suites[:1] == [debian_tree.suite()]
    assert by_bios[:-1] == ["debian", "given", "1", *suites]
    assert by_uefi[:-1] == ["debian", "given", "1", "EFI", *suites]
    # No two guests are the same machine.
    assert by_bios[-1] != by_uefi[-1]


async def test_what_lacks_for_the_debian_image_is_told_in_one_line(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    async with open_hypervisor(tmp_path) as hypervisor:
        with pytest.raises(Missing) as caught:
            await hypervisor.build_debian_image()
    assert {"mmdebstrap", "mtools", "gdisk", "syslinux"} <= set(caught.value.packages)
    assert "\n" not in str(caught.value)


async def test_what_lacks_of_the_boot_loaders_is_told(tmp_path: Path, monkeypatch):
    gone = {tmp_path / "mbr.bin": "syslinux-common", tmp_path / "x.efi": "systemd-boot-efi"}
    monkeypatch.setattr(debian_image.boot_disk, "FILES", gone)
    monkeypatch.setattr(debian_image, "NEEDED", ())
    async with open_hypervisor(tmp_path) as hypervisor:
        with pytest.raises(Missing) as caught:
            await hypervisor.build_debian_image()
    assert caught.value.packages == ("syslinux-common", "systemd-boot-efi")


def test_a_failed_build_says_why_in_one_line():
    log = (
        "I: running\nErr:1 http://h\nE: Failed to fetch http://h  no such host\nE: failed to run\n"
    )
    said = str(debian_tree._explained(log))
    assert "is this machine online" in said
    assert said.endswith("no such host E: failed to run")
    assert str(debian_tree._explained("killed\n")) == "mmdebstrap failed: killed"


async def test_another_list_of_packages_is_another_recipe():
    one = await debian_tree.recipe(["deb a b c"])
    assert one == await debian_tree.recipe(["deb a b c"])
    assert one != await debian_tree.recipe(["deb a b d"])
