"""All checks, in the order in which they are told."""

from dataclasses import replace

from nimbi.qemu.doctor import engine, host, network, programs
from nimbi.qemu.doctor.finding import Check, Diagnosis, Finding, Host, Verdict

CHECKS = (
    Check("processor", engine.processor, essential=True),
    Check("qemu", engine.program, essential=True),
    Check("kvm", engine.kvm),
    Check("sandbox", engine.sandbox),
    *(Check(c.name, c.look, essential=c.essential) for c in programs.CAPABILITIES),
    Check("user namespaces", network.user_namespaces),
    Check("network cards", network.tun),
    Check("network", network.rung),
    Check("outgoing traffic", network.outgoing),
    Check("ports", network.ports),
    Check("state directory", host.state, essential=True),
    Check("disk", host.disk),
    Check("memory", host.memory),
    Check("open files", host.open_files),
    Check("clock", host.clock),
)


async def examine(seen: Host) -> list[Diagnosis]:
    """Return what all checks have found. Nothing on the machine is changed."""
    return [
        Diagnosis(name=check.name, essential=check.essential, finding=await _finding(check, seen))
        for check in CHECKS
    ]


async def _finding(check: Check, seen: Host) -> Finding:
    try:
        found = await check.look(seen)
    except OSError as error:
        # A machine that hides something, such as /proc of others, is still told all the rest.
        return Finding(verdict=Verdict.LIMITED, found=f"can't be looked at: {error}")
    return found if found.verdict is not Verdict.OK else replace(found, follows="", mend="")
