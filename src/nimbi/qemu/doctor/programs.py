"""What other programs and files are for, and what can't be done without them."""

from collections.abc import Callable
from dataclasses import dataclass

from nimbi.qemu.doctor.finding import Finding, Host, Verdict
from nimbi.qemu.errors import Missing
from nimbi.qemu.guests import firmware
from nimbi.qemu.host.programs import PACKAGES, program
from nimbi.qemu.images import imports
from nimbi.qemu.images.builders import boot_disk, debian_image, debian_tree, demo_image
from nimbi.qemu.network import rungs


@dataclass(frozen=True)
class Capability:
    """Something that works when all these programs, and files that programs are made of, exist."""

    name: str
    programs: tuple[str, ...]
    follows: str
    essential: bool = False
    files: tuple[Callable[[], object], ...] = ()

    async def look(self, _host: Host) -> Finding:
        """Say what lacks, and which packages bring it."""
        programs = dict.fromkeys(self.programs)
        lacking: dict[str, tuple[str, ...]] = {
            name: (PACKAGES[name],) for name in programs if not _there(name)
        }
        for require in self.files:
            try:
                require()
            except Missing as error:
                lacking[str(error).partition(" is missing")[0]] = error.packages
        if not lacking:
            return Finding(found=", ".join(programs) or "all of its files")
        packages = dict.fromkeys(package for them in lacking.values() for package in them)
        return Finding(
            verdict=Verdict.MISSING if self.essential else Verdict.LIMITED,
            found=f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not there",
            follows=self.follows,
            mend=f"apt install {' '.join(packages)}",
        )


CAPABILITIES = (
    Capability("disks", ("qemu-img",), "no guest, image or volume can be made", essential=True),
    Capability(
        "demo image",
        (*demo_image.NEEDED, "zstd"),
        "the demo image can't be built; others can be imported",
    ),
    Capability(
        "debian image",
        debian_image.NEEDED,
        "the Debian image can't be built; others can be imported",
        files=(boot_disk.require_files, debian_tree.require_keys),
    ),
    Capability("import of images", imports.NEEDED, "no image can be imported"),
    Capability(
        "uefi", (), "guests of images that boot by UEFI can't be started", files=(firmware.found,)
    ),
    Capability("login", ("ssh",), "commands can't be run in guests; logins by hand still work"),
    Capability("networks", rungs.NEEDED, "no networks: each guest alone, with published ports"),
    Capability("load balancers", ("haproxy",), "no load balancers"),
)
"""One row a thing that programs are needed for."""


def _there(name: str) -> bool:
    try:
        program(name)
    except Missing:
        return False
    return True
