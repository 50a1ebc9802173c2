"""What all tests with real guests need: an event loop of their own, and images to start from."""

import asyncio
import os
import shutil
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nimbi.qemu import Image, Missing, open_hypervisor
from nimbi.qemu.host.programs import require

T = TypeVar("T")


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop in a thread of its own: pytest-asyncio owns this thread's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def build_once(factory: pytest.TempPathFactory) -> Path:
    """Return a state directory with the demo image, built once in a run of any workers.

    Skips the test where there is no QEMU, except on a CI server, which has to have it.
    """
    try:
        require(("qemu-system-x86_64", "qemu-img"))
    except Missing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    base = factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built"
    apart(_build(root))
    return root


async def _build(root: Path) -> Image:
    async with open_hypervisor(root) as hypervisor:
        return await hypervisor.build_demo_image()


def stock(place: Path, built: Path) -> None:
    """Give a state directory the images of another one.

    Each has a directory of images of its own: two clouds that shared one would take each other's
    unfinished images for left behind.
    """
    place.mkdir(mode=0o700, exist_ok=True)
    unshared = shutil.ignore_patterns(".*", "blobs")
    shutil.copytree(built / "images", place / "images", ignore=unshared, copy_function=_link)
    if (built / "kernels").exists():
        (place / "kernels").symlink_to((built / "kernels").resolve())


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
