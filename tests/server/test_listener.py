"""What is checked before a server starts."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from nimbi.listener import (
    ListenError,
    check_tls,
    is_exposed,
    listen,
    make_state_dir,
    url,
)
from nimbi.settings import Settings

Certificates = Callable[..., tuple[Path, Path]]


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ListenError, match=rf"^cannot listen on 127.0.0.1:{port}: the port is in"
        ):
            listen(Settings(host="127.0.0.1", port=port))


def test_a_host_that_is_not_there_is_told() -> None:
    with pytest.raises(ListenError, match="no such host"):
        listen(Settings(host="no such host", port=0))


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1:0: "):
        listen(Settings(host="192.0.2.1", port=0))


def test_the_url_has_the_port_that_was_taken() -> None:
    settings = Settings(host="127.0.0.1", port=0)
    with listen(settings) as sock:
        assert url(settings, sock) == f"http://127.0.0.1:{sock.getsockname()[1]}"


@pytest.mark.parametrize(
    ("host", "exposed"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)]
)
def test_only_loopback_is_not_exposed(host: str, exposed: bool) -> None:
    settings = Settings(host=host, port=0)
    with listen(settings) as sock:
        assert is_exposed(settings, sock) is exposed


def test_tls_is_not_exposed() -> None:
    settings = Settings(host="0.0.0.0", port=0, tls_cert="c", tls_key="k")
    with listen(settings) as sock:
        assert not is_exposed(settings, sock)


def test_a_certificate_and_its_key_pass(tmp_path: Path, make_certificate: Certificates) -> None:
    cert, key = make_certificate(tmp_path)
    check_tls(Settings(tls_cert=str(cert), tls_key=str(key)))


def test_a_key_of_another_certificate_is_refused(
    tmp_path: Path, make_certificate: Certificates
) -> None:
    cert, _ = make_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, key = make_certificate(tmp_path / "other")
    with pytest.raises(ListenError, match="are not a certificate and its key"):
        check_tls(Settings(tls_cert=str(cert), tls_key=str(key)))


def test_a_key_with_a_password_is_refused_without_asking(
    tmp_path: Path, make_certificate: Certificates
) -> None:
    cert, key = make_certificate(tmp_path, password=b"secret")
    with pytest.raises(ListenError, match="the key has a password"):
        check_tls(Settings(tls_cert=str(cert), tls_key=str(key)))


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=r"none\.pem: cannot be read"):
        check_tls(Settings(tls_cert=str(tmp_path / "none.pem"), tls_key=str(tmp_path / "k")))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_state_directory_is_made_for_its_user_alone(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    assert make_state_dir(Settings(state_dir=str(place)), os.geteuid()) == place
    assert mode(place) == 0o700


def test_a_state_directory_that_others_may_enter_is_closed(tmp_path: Path) -> None:
    place = tmp_path / "open"
    place.mkdir(mode=0o755)
    make_state_dir(Settings(state_dir=str(place)), os.geteuid())
    assert mode(place) == 0o700


def test_a_directory_shared_by_all_is_refused_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o1777)
    with pytest.raises(ListenError, match="a directory of its own"):
        make_state_dir(Settings(state_dir=str(place)), os.geteuid())
    assert mode(place) == 0o1777


def test_a_file_in_the_place_of_the_state_directory_is_told(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    with pytest.raises(ListenError, match="no place for state"):
        make_state_dir(Settings(state_dir=str(place)), os.geteuid())
