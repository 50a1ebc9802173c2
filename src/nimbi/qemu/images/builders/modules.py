"""Kernel modules: which files a module needs, in the order in which they must be loaded."""

import lzma
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from nimbi.qemu.errors import Failed
from nimbi.qemu.host.programs import program

SUFFIXES = (".ko", ".ko.xz", ".ko.zst")
DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


class ModuleTree:
    """The modules of one kernel, read from their files.

    A kernel that was only unpacked has no modules.dep: depmod writes it at installation.
    """

    def __init__(self, root: Path) -> None:
        """Look below `root`, a directory like /lib/modules/6.1.0-cloud-amd64."""
        self._files = {_name(file): file for file in _module_files(root / "kernel")}
        built_in = root / "modules.builtin"
        lines = built_in.read_text().splitlines() if built_in.is_file() else []
        self._built_in = {_name(Path(line)) for line in lines}

    def load_order(self, wanted: Iterable[str]) -> dict[str, bytes]:
        """Return {module name: plain ELF data} of what is wanted and all it needs, needs first.

        Modules built into the kernel are left out. Raises Failed when a module does not exist.
        """
        order: dict[str, bytes] = {}
        for name in wanted:
            self._add(name, order)
        return order

    def _add(self, name: str, order: dict[str, bytes]) -> None:
        if name in order or name in self._built_in:
            return
        if name not in self._files:
            raise Failed(f"this kernel has no module {name}, which the guest needs")
        data = _plain(self._files[name])
        found = DEPENDS.search(data)
        for needed in filter(None, found.group(1).decode().split(",") if found else ()):
            self._add(needed.replace("-", "_"), order)
        order[name] = data


def _module_files(root: Path) -> Iterator[Path]:
    return (file for file in root.rglob("*.ko*") if file.name.endswith(SUFFIXES))


def _name(file: Path) -> str:
    return file.name.split(".ko")[0].replace("-", "_")


def _plain(file: Path) -> bytes:
    if file.suffix == ".xz":
        return lzma.decompress(file.read_bytes())
    if file.suffix == ".zst":
        command = [program("zstd"), Path("-dcq"), file]
        return subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603
    return file.read_bytes()
