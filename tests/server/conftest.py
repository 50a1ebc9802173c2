"""Certificates, and servers in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _make_certificate(place: Path, password: bytes | None = None) -> tuple[Path, Path]:
    """Return the files of a certificate of localhost, signed by itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        lock = serialization.BestAvailableEncryption(password)
    cert_file, key_file = place / "cert.pem", place / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, lock))
    return cert_file, key_file


@pytest.fixture
def make_certificate() -> Callable[..., tuple[Path, Path]]:
    return _make_certificate


@dataclass(frozen=True)
class Running:
    """A server that runs: where it answers, and the file that it logs to."""

    process: "subprocess.Popen[str]"
    line: str
    url: str
    log: Path
    errors: Path

    def stop(self) -> int:
        """Ask it to end; return its status."""
        self.process.terminate()
        return self.process.wait(timeout=20)


Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return what starts `nimbi serve` on a free port of the loopback, ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(
        *flags: str, driver: str = "mock", environment: dict[str, str] | None = None
    ) -> Running:
        place = tmp_path / f"server-{len(started)}"
        place.mkdir()
        log, errors = place / "log", place / "errors"
        command = [Path(sys.executable).with_name("nimbi"), "serve", "-i", driver, "-p", "0"]
        with errors.open("w") as err:
            process = subprocess.Popen(
                [*command, "--log", log, *flags],
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                env=os.environ | {"NIMBI_STATE_DIR": str(place / "state")} | (environment or {}),
            )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line, errors.read_text()
        url = line.rpartition(" ")[2].removesuffix("/api")
        return Running(process, line, url, log, errors)

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()
