"""The one login of the local cloud: from the environment, or made up and kept in a file."""

import os
import secrets
from collections.abc import Iterator, Mapping
from hmac import compare_digest
from pathlib import Path
from shutil import which

import msgspec

from nimbi.driver.interface import FoundLogin, Place, UserAndPassword
from nimbi.model.errors import CloudUnavailable
from nimbi.qemu.errors import Unusable
from nimbi.qemu.host.engine import QEMU
from nimbi.qemu.host.files import create_once, private_directory
from nimbi.qemu.state.layout import usable

USER = "local"
USER_VARIABLE = "NIMBI_LOCAL_USER"
PASSWORD_VARIABLE = "NIMBI_LOCAL_PASSWORD"  # noqa: S105  a name
FILE = "login.json"


class Kept(msgspec.Struct, frozen=True):
    """What the file holds. `secret` seals page markers and makes key pairs repeatable."""

    user: str
    password: str
    secret: str

    def __repr__(self) -> str:
        return "Kept(…)"


def kept(state_dir: Path) -> Kept:
    """Return what the file holds, made up (mode 0600) by the first of all processes that asks.

    Raises CloudUnavailable for a directory of somebody else or of a newer program, which is left
    alone.
    """
    try:
        usable(state_dir)
    except Unusable as error:
        raise CloudUnavailable(str(error)) from error
    file = private_directory(state_dir) / FILE
    if not file.exists():
        new = Kept(user=USER, password=secrets.token_urlsafe(18), secret=secrets.token_hex(32))
        create_once(file, msgspec.to_builtins(new))
    try:
        return msgspec.json.decode(file.read_bytes(), type=Kept)
    except msgspec.MsgspecError:
        raise CloudUnavailable(f"the local cloud's {FILE} is damaged: remove it") from None


def login_of(kept: Kept) -> UserAndPassword:
    """Return the login: each half from the environment when it is set there, else from the file."""
    return UserAndPassword(
        user=os.environ.get(USER_VARIABLE) or kept.user,
        password=os.environ.get(PASSWORD_VARIABLE) or kept.password,
    )


def own_login(_settings: object, place: Place) -> UserAndPassword:
    """Return the login for whoever may read the state directory."""
    return login_of(kept(place.state_dir))


def found_logins(environment: Mapping[str, str], _home: Path) -> Iterator[FoundLogin]:
    """Yield this machine, when it has QEMU."""
    if which(QEMU, path=environment.get("PATH")):
        yield FoundLogin(name="local", source="this machine, by QEMU")


def is_right(given: UserAndPassword, right: UserAndPassword) -> bool:
    """Compare in constant time. Both halves are compared, whatever the first says."""
    pairs = ((given.user, right.user), (given.password, right.password))
    same = [
        compare_digest(a.encode(errors="surrogatepass"), b.encode(errors="surrogatepass"))
        for a, b in pairs
    ]
    return all(same)
