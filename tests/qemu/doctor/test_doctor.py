"""The doctor: what is told of a machine that has everything, and of one that lacks a thing."""

import json
import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

from nimbi import qemu
from nimbi.qemu.doctor import Diagnosis, Finding, Host, Verdict, examine
from nimbi.qemu.doctor import engine as of_engine
from nimbi.qemu.doctor import host as of_host
from nimbi.qemu.doctor import network as of_network
from nimbi.qemu.doctor.programs import CAPABILITIES
from nimbi.qemu.host.programs import PACKAGES
from nimbi.qemu.network.passt import NETWORK
from nimbi.qemu.network.passt_trial import refusal
from nimbi.qemu.state.layout import NEWEST, SCHEMA, prepare

AMPLE = "MemTotal: 8000000 kB\nMemAvailable: 7000000 kB\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Give a machine of which only the state directory is real: its files are made by tests."""
    (tmp_path / "system").mkdir()
    return Host(state=tmp_path / "state" / "local", system=tmp_path / "system", uid=os.geteuid())


def write(host: Host, path: str, text: str = "") -> Path:
    file = host.system / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def verdict_of_kvm(host: Host, *, works: bool, reason: str) -> None:
    host.state.mkdir(parents=True)
    told = {"key": "qemu 7.2", "works": works, "reason": reason, "at": 0}
    (host.state / "kvm.json").write_text(json.dumps(told))


async def test_every_check_tells_what_it_found_and_how_to_mend_what_is_wrong(host: Host) -> None:
    told = await examine(replace(host, system=Path("/")))
    assert len({each.name for each in told}) == len(told)
    for each in told:
        assert each.finding.found, each
        if each.finding.verdict is not Verdict.OK and each.finding.follows:
            assert each.finding.mend, each


async def test_a_machine_that_hides_its_files_is_told_of_all_the_same(host: Host) -> None:
    told: list[Diagnosis] = await examine(host)
    named = {each.name: each.finding for each in told}
    assert named["kvm"].verdict is Verdict.LIMITED
    assert named["network cards"].found == "there is no /dev/net/tun"


async def test_guests_reach_the_outside_when_a_trial_shows_that_they_may(
    host: Host, tmp_path: Path
) -> None:
    why = await refusal(tmp_path, NETWORK)
    finding = await of_network.outgoing(replace(host, network="user"))
    assert finding.found == (why or "passt")
    assert (finding.verdict is Verdict.OK) == (not why)


@pytest.mark.usefixtures("_no_programs")
async def test_without_programs_all_packages_are_named_and_no_guest_can_run(host: Host) -> None:
    told = {each.name: each for each in await examine(host)}
    assert told["qemu"].finding.mend == "apt install qemu-system-x86"
    assert told["qemu"].finding.verdict is Verdict.MISSING
    assert told["qemu"].essential
    assert told["disks"].essential
    for capability in (each for each in CAPABILITIES if each.programs):
        finding = told[capability.name].finding
        assert finding.verdict is not Verdict.OK
        assert {PACKAGES[name] for name in capability.programs} <= set(finding.mend.split())


def test_every_program_that_is_needed_anywhere_has_a_package() -> None:
    modules = (import_module(name) for _, name, _ in walk_packages(qemu.__path__, "nimbi.qemu."))
    needed = {name for module in modules for name in getattr(module, "NEEDED", ())}
    assert needed
    assert needed <= set(PACKAGES)


@pytest.fixture
def _no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.parametrize(
    ("flags", "mend"),
    [("fpu vmx", "modprobe"), ("fpu hypervisor", "nested"), ("fpu", "firmware")],
)
async def test_a_machine_without_kvm_is_told_why(host: Host, flags: str, mend: str) -> None:
    write(host, "proc/cpuinfo", f"processor : 0\nflags : {flags}\n")
    finding = await of_engine.kvm(host)
    assert finding.verdict is Verdict.LIMITED
    assert mend in finding.mend


async def test_a_kvm_that_did_not_boot_a_guest_is_told_with_its_reason(host: Host) -> None:
    write(host, "dev/kvm")
    verdict_of_kvm(host, works=False, reason="MSR 0x10a\n failed")
    finding = await of_engine.kvm(host)
    assert finding.verdict is Verdict.LIMITED
    assert finding.found == "a guest did not boot with it (qemu 7.2): MSR 0x10a failed"


async def test_a_kvm_that_works_tells_whether_guests_can_use_it_too(host: Host) -> None:
    write(host, "dev/kvm")
    write(host, "sys/module/kvm_amd/parameters/nested", "1\n")
    verdict_of_kvm(host, works=True, reason="")
    finding = await of_engine.kvm(host)
    assert finding == Finding(
        found="a guest has booted with it (qemu 7.2); guests can use it themselves"
    )


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("kernel/unprivileged_userns_clone", "0", False),
        ("kernel/unprivileged_userns_clone", "1", True),
        ("user/max_user_namespaces", "0", False),
        ("user/max_user_namespaces", "15000", True),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", False),
        ("kernel/apparmor_restrict_unprivileged_userns", "0", True),
    ],
)
def test_settings_that_forbid_user_namespaces_are_known(
    host: Host, setting: str, value: str, allowed: bool
) -> None:
    write(host, f"proc/sys/{setting}", f"{value}\n")
    named = [reason for reason, _ in of_network.forbidding(host)]
    name = setting.replace("/", ".")
    assert named == ([] if allowed else [f"{name} is {value}"])


async def test_a_tun_device_that_is_root_s_alone_is_told_to_others(host: Host) -> None:
    device = write(host, "dev/net/tun")
    device.chmod(0o600 if os.geteuid() == 0 else 0o000)
    finding = await of_network.tun(host)
    assert finding.verdict is (Verdict.OK if os.geteuid() == 0 else Verdict.LIMITED)


async def test_low_ports_are_root_s_unless_the_kernel_is_told_otherwise(host: Host) -> None:
    stranger = replace(host, uid=12345)
    assert (await of_network.ports(stranger)).found == "those below 1024 are root's"
    write(host, "proc/sys/net/ipv4/ip_unprivileged_port_start", "80\n")
    assert (await of_network.ports(stranger)).verdict is Verdict.OK
    assert (await of_network.ports(replace(host, uid=0))).verdict is Verdict.OK


async def test_a_state_directory_is_told_with_its_version(host: Host) -> None:
    assert "will be made" in (await of_host.state(host)).found
    await prepare(host.state)
    assert (await of_host.state(host)).found == f"{host.state}, version {NEWEST}"


async def test_a_state_directory_that_others_can_enter_is_told(host: Host) -> None:
    await prepare(host.state)
    open_to_all(host.state)
    finding = await of_host.state(host)
    assert (finding.verdict, finding.found) == (Verdict.LIMITED, f"{host.state} has mode 0755")


def open_to_all(path: Path) -> None:
    path.chmod(0o755)


async def test_entries_of_somebody_else_are_told(host: Host) -> None:
    await prepare(host.state)
    finding = await of_host.state(replace(host, uid=os.geteuid() + 1))
    assert finding.verdict is Verdict.LIMITED
    assert SCHEMA in finding.found or "locks" in finding.found


async def test_a_state_directory_of_a_newer_version_is_missing(host: Host) -> None:
    await prepare(host.state)
    (host.state / SCHEMA).write_text(f'{{"version": {NEWEST + 1}}}')
    finding = await of_host.state(host)
    assert finding.verdict is Verdict.MISSING
    assert "newer" in finding.found


@pytest.mark.parametrize(
    ("mounts", "follows"),
    [
        ("1 0 0:1 / / rw - ext4 /dev/vda rw", ""),
        ("1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / {state} rw - tmpfs none rw", "next boot"),
        ("1 0 0:1 / / rw shared:1 - nfs4 server:/ rw", "its server is away"),
        ("1 0 0:1 / / rw - overlay overlay rw", "container"),
    ],
)
async def test_a_file_system_that_does_not_keep_guests_is_told(
    host: Host, mounts: str, follows: str
) -> None:
    await prepare(host.state)
    write(host, "proc/self/mountinfo", mounts.format(state=host.state))
    assert follows in (await of_host.disk(host)).follows


async def test_memory_that_is_enough_for_no_guest_is_told(host: Host) -> None:
    write(host, "proc/meminfo", AMPLE)
    assert (await of_host.memory(host)).verdict is Verdict.OK
    write(host, "proc/meminfo", AMPLE.replace("7000000", "600000"))
    assert (await of_host.memory(host)).verdict is Verdict.LIMITED
