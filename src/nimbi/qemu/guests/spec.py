"""What may be asked of a guest, with its limits."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from nimbi.qemu.errors import Invalid

HTTP = 80
SSH = 22
MIN_MEMORY_MIB = 96
"""Debian's kernel unpacks to 53 MB and then panics with 72 MiB."""

MAX_MEMORY_MIB = 2**20
MAX_CPUS = 64
MAX_DISK_GIB = 64
"""The demo image's file system can grow a thousandfold while mounted, from 64 MiB."""

MAX_NAME = 255
MAX_TOKEN = 255
MAX_PORTS = 16
MAX_KEYS = 100
MAX_FILES = 100
MAX_DATA_BYTES = 16 * 2**20
"""User data and user files of one guest together."""

HOST_NAME = re.compile(r"(?=.{1,63}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
PUBLIC_KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}(?: [^\x00-\x1f\x7f]{0,255})?")
PATH = re.compile(r"/[^\x00-\x1f\x7f]{1,250}")


@dataclass(frozen=True, kw_only=True)
class GuestSpec:
    """A guest to be. Names are any text without control characters; they never become a path.

    `host_name` is made from `name` when absent. `public_keys` are lines as in authorized_keys.
    `ports` of the guest are published on the host's loopback. With `outgoing` off the guest can
    reach nothing, not even the host. The same `token` always gives the same guest. `labels` are
    the caller's own, kept and given back. `boot` is one of the image's boot modes, None for the
    one that it prefers. `firewall_ids` are of firewalls to be behind, none for the default one.
    """

    name: str
    image_id: str
    cpus: int = 1
    memory_mib: int = 128
    disk_gib: int = 1
    host_name: str | None = None
    user_data: bytes = b""
    user_files: Mapping[str, bytes] = field(default_factory=dict)
    public_keys: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)
    ports: tuple[int, ...] = (HTTP, SSH)
    outgoing: bool = True
    token: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    boot: str | None = None
    firewall_ids: tuple[str, ...] = ()

    def digest(self) -> str:
        """Return what is equal for equal specs only."""
        fields = {**vars(self), "user_data": self.user_data.hex()}
        fields["user_files"] = {path: data.hex() for path, data in self.user_files.items()}
        fields["labels"] = dict(self.labels)
        if self.boot is None:
            # So the digests of specs from before there was a choice stay what they were.
            del fields["boot"]
        if not self.firewall_ids:
            del fields["firewall_ids"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def check(spec: GuestSpec) -> None:
    """Raise Invalid, naming the field, unless a guest can be made so on some machine."""
    check_sizes(spec.cpus, spec.memory_mib)
    within = {
        "disk_gib": (spec.disk_gib, 1, MAX_DISK_GIB),
        "name: length": (len(spec.name), 1, MAX_NAME),
        "ports: number": (len(spec.ports), 0, MAX_PORTS),
        "public_keys: number": (len(spec.public_keys), 0, MAX_KEYS),
        "user_files: number": (len(spec.user_files), 0, MAX_FILES),
        "user data and files: bytes": (_data_bytes(spec), 0, MAX_DATA_BYTES),
    }
    _check_within(within)
    _check_texts(spec)
    _check_ports(spec.ports)


def check_sizes(cpus: int | None, memory_mib: int | None) -> None:
    """Raise Invalid, naming the field, for a size that no machine has; None is not looked at."""
    within = {
        "memory_mib": (memory_mib, MIN_MEMORY_MIB, MAX_MEMORY_MIB),
        "cpus": (cpus, 1, MAX_CPUS),
    }
    _check_within(
        {what: (v, least, most) for what, (v, least, most) in within.items() if v is not None}
    )


def _check_within(within: Mapping[str, tuple[int, int, int]]) -> None:
    for what, (value, least, most) in within.items():
        if not least <= value <= most:
            raise Invalid(f"{what} is {value}, not {least} to {most}")


def _data_bytes(spec: GuestSpec) -> int:
    return len(spec.user_data) + sum(len(data) for data in spec.user_files.values())


def _check_texts(spec: GuestSpec) -> None:
    if not printable(spec.name):
        raise Invalid("name has control characters or broken Unicode")
    if spec.host_name is not None and not HOST_NAME.fullmatch(spec.host_name):
        raise Invalid(f"host_name {spec.host_name!r} is not a host name in lower case")
    for key in spec.public_keys:
        if not PUBLIC_KEY.fullmatch(key):
            raise Invalid("public_keys has a line that is not an OpenSSH public key")
    for path in spec.user_files:
        if not PATH.fullmatch(path) or ".." in PurePosixPath(path).parts:
            raise Invalid(f"user_files has {path!r}, which is not an absolute path")
    if spec.password is not None and not (spec.password and printable(spec.password)):
        raise Invalid("password is empty or has control characters")


def _check_ports(ports: tuple[int, ...]) -> None:
    if len(set(ports)) != len(ports) or not all(0 < port < 2**16 for port in ports):
        raise Invalid("ports are not different numbers from 1 to 65535")


def printable(text: str) -> bool:
    """Say whether a text can be shown and stored: no control characters, no lone surrogates."""
    return not any(
        ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in text
    )


def host_name(spec: GuestSpec, id: str) -> str:
    """Return the host name that was asked for, or one made from the name, or the id."""
    made = re.sub(r"[^a-z0-9]+", "-", spec.name.lower()).strip("-")[:63].strip("-")
    return spec.host_name or made or id
