"""What is said when something of the distribution is missing."""

from pathlib import Path

import pytest

from nimbi.qemu import Failed, GuestSpec, Missing, QemuError, TimedOut, errors, open_hypervisor
from nimbi.qemu.host.programs import PACKAGES, program, run


async def test_without_programs_the_packages_are_named_in_one_line(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    async with open_hypervisor(tmp_path) as hypervisor:
        with pytest.raises(Missing) as caught:
            await hypervisor.create(GuestSpec(name="x", image_id="img-1"))
        assert str(caught.value).endswith("`apt install qemu-system-x86 qemu-utils`")
        assert "\n" not in str(caught.value)
        with pytest.raises(Missing) as caught:
            await hypervisor.build_demo_image()
        assert {"busybox-static", "dropbear-bin", "e2fsprogs"} <= set(caught.value.packages)
        assert await hypervisor.guests() == []


def test_a_program_beside_the_path_in_sbin_is_found(tmp_path: Path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "sbin").mkdir()
    tool = tmp_path / "sbin" / "mke2fs"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert program("mke2fs") == tool


async def test_a_failing_program_tells_what_it_said():
    with pytest.raises(Failed, match="exit code 3: so it is"):
        await run("sh", "-c", "echo so it is >&2; exit 3")


async def test_a_program_that_does_not_end_is_ended():
    with pytest.raises(TimedOut):
        await run("sh", "-c", "exec sleep 600", within_s=0.05)


async def test_programs_do_not_get_the_server_s_secrets(monkeypatch):
    monkeypatch.setenv("NIMBI_LOCAL_PASSWORD", "secret")
    assert b"secret" not in await run("sh", "-c", "env")


def test_every_error_has_a_code_of_its_own():
    kinds = QemuError.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds) == 9
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)


def test_every_package_name_is_plain():
    assert all(name.replace("-", "").isalnum() for name in PACKAGES.values())
