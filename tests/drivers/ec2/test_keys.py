"""Keys: what is imported, and what becomes of a private key that got lost."""

import base64
from itertools import count
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.drivers.ec2.answers import clouds
from tests.drivers.ec2.services import Asked, dropped, failing, good

from nimbi.drivers.ec2.keys import IMPORTED
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.keys import NewKey
from nimbi.model.public_keys import checked

OPENSSH = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
ED25519 = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*OPENSSH).decode()
RSA = rsa.generate_private_key(65537, 2048).public_key().public_bytes(*OPENSSH).decode()
ECDSA = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*OPENSSH).decode()


@pytest.mark.parametrize(
    "line", [ED25519, RSA, f"{ED25519} me@example", f"  {RSA} a b c\n"], ids=map(str, count())
)
def test_keys_of_both_kinds_are_taken(line: str) -> None:
    assert checked(line, IMPORTED).split()[:2] == line.split()[:2]


def blob(*parts: bytes) -> str:
    return base64.b64encode(b"".join(len(p).to_bytes(4) + p for p in parts)).decode()


@pytest.mark.parametrize(
    "line",
    [
        ECDSA,
        "ssh-rsa " + ED25519.split()[1],
        "ssh-ed25519 " + RSA.split()[1],
        "ssh-ed25519 " + blob(b"ssh-ed25519", b"x" * 31),
        "ssh-ed25519 " + blob(b"ssh-ed25519", b"x" * 32, b"more"),
        "ssh-rsa " + blob(b"ssh-rsa", b"", b""),
        "ssh-rsa " + blob(b"ssh-rsa") + "\nssh-rsa x",
        ED25519[:-8],
        "\ud800",
    ],
    ids=map(str, count()),
)
def test_what_is_no_key_of_these_kinds_is_invalid(line: str) -> None:
    with pytest.raises(Invalid):
        checked(line, IMPORTED)


@pytest.mark.parametrize("line", [ED25519, RSA], ids=["ed25519", "rsa"])
async def test_an_imported_key_is_known_by_its_name(cloud: Cloud, line: str) -> None:
    new = await cloud.keys.create(NewKey(name="my key", public_key=line))
    assert new.id == new.name == "my key"
    assert (await cloud.keys.get("my key")).fingerprint == new.fingerprint
    await cloud.keys.destroy("my key")
    with pytest.raises(NotFound):
        await cloud.keys.get("my key")


@pytest.mark.parametrize("name", ["", " begins", "ends ", "x" * 256, "ünïcödé", "a\nb"])
async def test_a_name_that_aws_does_not_take_is_invalid(tmp_path: Path, name: str) -> None:
    async with clouds(lambda _: failing("no"), tmp_path) as (cloud, aws):
        with pytest.raises(Invalid):
            await cloud.keys.create(NewKey(name=name))
        assert not aws.asked


class Ring:
    """An account's keys; `lost` answers of CreateKeyPair do not arrive."""

    def __init__(self, lost: int) -> None:
        self.lost = lost
        self.keys: dict[str, str] = {}
        self.made = 0

    def __call__(self, asked: Asked) -> web.Response:
        form = asked.form
        return getattr(self, form["Action"])(asked)

    def DescribeKeyPairs(self, asked: Asked) -> web.Response:  # noqa: N802  AWS's word
        wanted = asked.form.get("KeyName.1")
        token = asked.form.get("Filter.1.Value.1")
        found = "".join(
            f"<item><keyName>{name}</keyName><keyFingerprint>f{self.made}</keyFingerprint></item>"
            for name, of in self.keys.items()
            if wanted in {None, name} and token in {None, of}
        )
        return good(f"<keySet>{found}</keySet>")

    def CreateKeyPair(self, asked: Asked) -> web.Response:  # noqa: N802
        name = asked.form["KeyName"]
        if name in self.keys:
            return failing("InvalidKeyPair.Duplicate")
        self.keys[name] = asked.form["TagSpecification.1.Tag.1.Value"]
        self.made += 1
        if self.made <= self.lost:
            return dropped(asked)
        return good(f"<keyName>{name}</keyName><keyMaterial>private {self.made}</keyMaterial>")

    def DeleteKeyPair(self, asked: Asked) -> web.Response:  # noqa: N802
        del self.keys[asked.form["KeyName"]]
        return good()


async def test_a_private_key_that_got_lost_is_made_anew(tmp_path: Path) -> None:
    ring = Ring(lost=2)
    async with clouds(ring, tmp_path) as (cloud, _):
        new = await cloud.keys.create(NewKey(name="k"))
    assert new.private_key == "private 3"
    assert list(ring.keys) == ["k"]


async def test_a_private_key_is_told_once(tmp_path: Path) -> None:
    ring = Ring(lost=0)
    async with clouds(ring, tmp_path) as (cloud, _):
        wish = NewKey(name="k", token="one")
        assert (await cloud.keys.create(wish)).private_key == "private 1"
        assert (await cloud.keys.create(wish)).private_key is None
        with pytest.raises(Conflict):
            await cloud.keys.create(NewKey(name="k", token="two"))
    assert ring.made == 1
