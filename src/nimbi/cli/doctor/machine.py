"""Versions, the state directory, the disk, limits, the certificate: what is the machine's."""

import asyncio
import os
import platform
import re
import resource
import shutil
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from nimbi.cli.doctor.finding import Check, Finding, Patient, broken, poor

FOREIGN = 0o077
MIB = 1024 * 1024
# Below the first nothing can be written soon; below the second it is time to look.
LEAST_MIB, FEW_MIB = 64, 1024
FEW_INODES = 10_000
# A connection each, and those to clouds and to the database.
FEW_FILES = 4096
SOON = timedelta(days=14)

REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?")


async def versions(patient: Patient) -> Finding:
    """Tell what runs here, and which package is missing."""
    own = version("nimbi")
    found = f"nimbi {own}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    needed = [line for line in requires("nimbi") or () if "extra ==" not in line]
    if patient.options.database.startswith("postgres"):
        needed.append("psycopg")
    missing = [name for line in needed if not _is_installed(name := _name(line))]
    if missing:
        return broken(
            f"{found}; not installed: {', '.join(missing)}",
            "what needs them fails when it is used",
            f"pip install {' '.join(missing)}",
        )
    return Finding(found=found)


def _name(requirement: str) -> str:
    match = REQUIREMENT.match(requirement)
    return match[1] if match else requirement


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


async def state_directory(patient: Patient) -> Finding:
    """Look at its owner and mode."""
    path = patient.settings.state_path()
    try:
        status = path.stat()
    except FileNotFoundError:
        return Finding(found=f"{path} will be made at the first start")
    except OSError as error:
        return broken(
            f"{path}: {error.strerror}", "no server starts", "set NIMBI_STATE_DIR to another place"
        )
    if not path.is_dir() or status.st_uid != os.geteuid() or not os.access(path, os.W_OK):
        return broken(
            f"{path} is not a directory of this user's own",
            "no server of this user starts",
            f"run this as its owner, or: chown -R {os.geteuid()} {path}",
        )
    if status.st_mode & FOREIGN:
        return poor(
            f"{path} has mode {status.st_mode & 0o777:04o}",
            "others may see what files there are",
            f"chmod 700 {path}",
        )
    return Finding(found=f"{path}, for this user alone")


async def secrets(patient: Patient) -> Finding:
    """Look for files that hold secrets and that others may read."""
    path = patient.settings.state_path()
    file = patient.options.key_file
    files = [path / name for name in ("token", "admin-password", "nimbi.db", "up.json")]
    open_ones = [str(each) for each in (*files, file) if _is_open(each)]
    if open_ones:
        return broken(
            f"others may read {', '.join(open_ones)}",
            "whoever did may have logged in; a server refuses such a key file",
            f"chmod 600 {' '.join(open_ones)}; then make new tokens, and nimbi operator-key rotate",
        )
    return Finding(found="no file with secrets is open to others")


def _is_open(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & FOREIGN)
    except OSError:
        return False


async def disk(patient: Patient) -> Finding:
    """Look at the room where the state is."""
    path = _existing(patient.settings.state_path())
    free = shutil.disk_usage(path).free // MIB
    inodes = os.statvfs(path)
    # Some file systems make inodes as they go, and count none.
    few_inodes = inodes.f_files > 0 and inodes.f_favail < FEW_INODES
    found = f"{free} MiB free at {path}"
    if free < LEAST_MIB:
        return broken(found, "the database cannot be written", "make room, or use another disk")
    if free < FEW_MIB or few_inodes:
        more = f", {inodes.f_favail} inodes" if few_inodes else ""
        return poor(found + more, "it may be full soon", "make room: nimbi local gc, old backups")
    return Finding(found=found)


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


async def open_files(_patient: Patient) -> Finding:
    """Look at how many files a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FEW_FILES:
        return poor(
            f"a process started here may have {soft} files open (at most {hard})",
            "many clients at once are turned away",
            "ulimit -n 65536; in a unit: LimitNOFILE=65536",
        )
    return Finding(found=f"{soft} may be open")


async def clock(_patient: Patient) -> Finding:
    """Ask the kernel whether anything keeps its clock right."""
    from nimbi.cli.local.doctor import clock_verdict

    is_kept, found, mend = await asyncio.to_thread(clock_verdict)
    if is_kept:
        return Finding(found=found)
    return poor(
        found, "signatures of requests to clouds, sign-ins and bills go wrong with it", mend
    )


async def certificate(patient: Patient) -> Finding:
    """Look at the certificate and how long it is valid."""
    settings = patient.settings
    if not settings.tls_cert:
        return Finding(found="HTTPS is not served here")
    from cryptography import x509

    from nimbi.listener import ListenError, check_tls

    try:
        check_tls(settings)
        read = await asyncio.to_thread(Path(settings.tls_cert).read_bytes)
        until = x509.load_pem_x509_certificate(read).not_valid_after_utc
    except (ListenError, OSError, ValueError) as error:
        return broken(str(error), "no server starts", "name a PEM certificate and its key")
    left = until - datetime.now(UTC)
    found = f"{settings.tls_cert} is valid until {until:%Y-%m-%d}"
    if left < timedelta():
        return broken(found, "no client takes it", "renew the certificate, and restart the servers")
    if left < SOON:
        return poor(found, f"clients refuse it in {left.days} days", "renew the certificate")
    return Finding(found=found)


CHECKS: Sequence[Check] = (
    Check("versions", versions),
    Check("state directory", state_directory),
    Check("secrets", secrets),
    Check("disk", disk),
    Check("open files", open_files),
    Check("clock", clock),
    Check("certificate", certificate),
)
