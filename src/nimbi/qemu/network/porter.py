"""The program of the gate: `python -m nimbi.qemu.network.porter DIRECTORY [NAMESPACE INODE]`."""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nimbi.qemu.network import rights
from nimbi.qemu.network.gate import SOCKET, serve


def main(directory: str, namespace: str | None = None, inode: str = "") -> None:
    """Run in the network namespace of that name and inode, or in this one; listen in this one."""
    host = ThreadPoolExecutor(1)
    # The thread is there before the others move into the fabric, and stays where it was born.
    host.submit(rights.keep, rights.LISTENING).result()
    if namespace is not None:
        rights.enter_network(Path(namespace), int(inode))
    rights.keep(rights.CONNECTING)
    os.chdir(directory)
    os.umask(0o177)
    # A relative path: that of a socket holds 107 bytes at most.
    Path(SOCKET).unlink(missing_ok=True)
    asyncio.run(serve(host, inside=namespace is not None))


if __name__ == "__main__":
    main(*sys.argv[1:])
