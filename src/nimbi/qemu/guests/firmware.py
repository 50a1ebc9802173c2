"""The firmware of guests that boot by UEFI: its code is shared, its variables are each guest's."""

from pathlib import Path

from nimbi.qemu.errors import Missing
from nimbi.qemu.guests.record import FIRMWARE
from nimbi.qemu.host.files import write_atomically

PLACE = Path("/usr/share/OVMF")
PACKAGE = "ovmf"
VARIANTS = (("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), ("OVMF_CODE.fd", "OVMF_VARS.fd"))
"""Code and empty variables, as Debian and Ubuntu name them; the newer first."""


def found(place: Path = PLACE) -> tuple[Path, Path]:
    """Return code and empty variables. Raises Missing."""
    for code, variables in VARIANTS:
        if (place / code).exists() and (place / variables).exists():
            return place / code, place / variables
    raise Missing("the UEFI firmware OVMF", PACKAGE)


def lay_down(directory: Path) -> None:
    """Give a guest its own variables. Raises Missing."""
    _, variables = found()
    write_atomically(directory / FIRMWARE, variables.read_bytes())


def arguments() -> tuple[str, ...]:
    """Return QEMU's arguments, for the guest's directory as working directory. Raises Missing."""
    code, _ = found()
    return (
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={FIRMWARE}"),
    )
