"""What Linux asks of a program that works with namespaces, and how it gives up its rights."""

import ctypes
import errno
import os
from collections.abc import Collection
from pathlib import Path

CLONE_NEWNET = 0x40000000
CAP_VERSION_3 = 0x20080522
NET_BIND_SERVICE = 10
NET_ADMIN = 12
"""Numbers of the kernel's own. Source: linux/capability.h, linux/sched.h."""

LISTENING = frozenset({NET_BIND_SERVICE})
CONNECTING = frozenset({NET_BIND_SERVICE, NET_ADMIN})
"""NET_ADMIN is for the mark on a connection, NET_BIND_SERVICE for ports below 1024."""


def enter_network(namespace: Path, inode: int) -> None:
    """Move this thread, and those that it starts from now on, into a network namespace.

    Raises OSError when it is not the one with this inode: names below /proc are used again.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_ino != inode:
            raise OSError(errno.ESTALE, f"{namespace} is another one")
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    finally:
        os.close(descriptor)


def keep(rights: Collection[int]) -> None:
    """Give up all rights of this thread but these, of which it may have none."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAP_VERSION_3, 0)
    # Three words (effective, permitted, inheritable) for rights 0 to 31, three for the others.
    data = (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "cannot read the rights of this program")
    wanted = sum(1 << right for right in rights) & data[1]
    if libc.capset(header, (ctypes.c_uint32 * 6)(wanted, wanted, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "cannot give up the rights of this program")
