"""What a provider that lies, or somebody who plays one, is not believed."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from nimbi.broker.destinations import Destinations
from nimbi.broker.openid.claims import proved
from nimbi.broker.openid.provider import OpenIdOptions, Provider
from nimbi.model.errors import CloudError, CloudUnavailable, Forbidden, Invalid, Unauthorized

CLIENT = "nimbi"
NONCE = "the-nonce-of-this-sign-in"
KEY = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}, private=True)
OTHER = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}, private=True)


@dataclass
class Rogue:
    """A provider that says whatever it is told to."""

    issuer: str
    about: dict[str, Any] = field(default_factory=dict)
    keys: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    answer: tuple[int, dict[str, Any]] = (200, {})

    def document(self, path: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        if path.startswith("/.well-known/"):
            return 200, self.about
        if path == "/jwks":
            return 200, {"keys": self.keys}
        return self.answer


@contextmanager
def rogue() -> Iterator[Rogue]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            self.rfile.read(size)
            status, told = made.document(self.path)
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if status == 302:
                self.send_header("location", "/jwks")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = f"http://127.0.0.1:{server.server_port}"
    made = Rogue(issuer, keys=[KEY.as_dict(private=False)])
    made.about = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/auth",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
    }
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def it() -> Iterator[Rogue]:
    with rogue() as made:
        yield made


def provider(it: Rogue, *, private: bool = False, **more: Any) -> Provider:
    options = OpenIdOptions(issuer=it.issuer, client_id=CLIENT, **more)
    return Provider(options, Destinations(private=private))


def claims(it: Rogue, **more: Any) -> dict[str, Any]:
    now = int(time.time())
    told = {
        "iss": it.issuer,
        "sub": "ann",
        "aud": CLIENT,
        "exp": now + 300,
        "iat": now,
        "nonce": NONCE,
    } | more
    return {name: value for name, value in told.items() if value is not None}


def signed(told: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    head = {"alg": "RS256", "kid": "k1"} | header
    head = {name: value for name, value in head.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[head["alg"]])
    return jws.serialize_compact(head, json.dumps(told).encode(), key, registry=registry)


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_a_token_that_is_right_is_believed(it: Rogue) -> None:
    told = claims(it, email="a@example.com", email_verified=True, groups=["a", 7])
    found = await proved(provider(it, groups_claim="groups"), signed(told), NONCE)
    assert (found.issuer, found.subject, found.email) == (it.issuer, "ann", "a@example.com")
    assert found.groups == ("a",)
    assert (await proved(provider(it), signed(told), NONCE)).groups is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"iss": "https://other.example"}, "of another issuer"),
        ({"aud": "somebody-else"}, "for somebody else"),
        ({"aud": [CLIENT, "somebody-else"]}, "given to another"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "given to another"),
        ({"aud": []}, "for somebody else"),
        ({"azp": "other"}, "given to another"),
        ({"nonce": "of-another-sign-in"}, "of another sign-in"),
        ({"nonce": None}, "of another sign-in"),
        ({"exp": 1_000_000_000}, "over"),
        ({"iat": 5_000_000_000, "exp": 5_000_000_300}, "of a time to come"),
        ({"nbf": 5_000_000_000}, "of a time to come"),
        ({"sub": ""}, "of nobody"),
        ({"sub": "x" * 256}, "of nobody"),
        ({"sub": 7}, "lacks"),
        ({"sub": None}, "lacks"),
        ({"exp": None}, "lacks"),
        ({"iat": "now"}, "lacks"),
        ({"aud": None}, "lacks"),
        ({"iss": None}, "lacks"),
    ],
)
async def test_a_token_of_another_is_not_believed(
    it: Rogue, change: dict[str, Any], text: str
) -> None:
    with pytest.raises(Unauthorized, match=text):
        await proved(provider(it), signed(claims(it, **change)), NONCE)


async def test_a_token_that_is_not_signed_is_not_believed(it: Rogue) -> None:
    head, body, _ = signed(claims(it)).split(".")
    none = "eyJhbGciOiJub25lIn0"
    for token in (
        f"{none}.{body}.",
        f"{head}.{body}.",
        f"{none}.{body}.AAAA",
        body,
        "",
        "...",
        "é",
    ):
        with pytest.raises(Unauthorized):
            await proved(provider(it), token, NONCE)


async def test_a_token_that_was_changed_is_not_believed(it: Rogue) -> None:
    head, _, signature = signed(claims(it)).split(".")
    _, body, _ = signed(claims(it, sub="bob")).split(".")
    with pytest.raises(Unauthorized, match="not signed by the provider"):
        await proved(provider(it), f"{head}.{body}.{signature}", NONCE)


async def test_a_token_signed_by_what_everybody_knows_is_not_believed(it: Rogue) -> None:
    # The public key taken for a shared secret.
    _, body, _ = signed(claims(it)).split(".")
    head = encoded(b'{"alg":"HS256","kid":"k1"}')
    told = f"{head}.{body}"
    made = hmac.digest(KEY.as_pem(private=False), told.encode(), "sha256")
    with pytest.raises(Unauthorized, match="not signed as it must be"):
        await proved(provider(it), f"{told}.{encoded(made)}", NONCE)
    # A shared secret among the keys.
    secret = OctKey.import_key("a" * 32, {"kid": "k1"})
    it.keys = [secret.as_dict(private=True)]
    with pytest.raises(Unauthorized):
        await proved(provider(it), signed(claims(it), secret, alg="HS256"), NONCE)
    with pytest.raises(Unauthorized):
        await proved(provider(it), signed(claims(it)), NONCE)


async def test_a_token_by_another_key_of_the_same_name_is_not_believed(it: Rogue) -> None:
    with pytest.raises(Unauthorized, match="not signed by the provider"):
        await proved(provider(it), signed(claims(it), OTHER), NONCE)


async def test_an_algorithm_that_is_not_of_the_key_is_refused(it: Rogue) -> None:
    other = ECKey.generate_key("P-256", {"kid": "k1"}, private=True)
    with pytest.raises(Unauthorized):
        await proved(provider(it), signed(claims(it), other, alg="ES256"), NONCE)


async def test_a_key_that_a_token_brings_along_is_not_used(it: Rogue) -> None:
    header = {"jwk": OTHER.as_dict(private=False), "kid": None}
    with pytest.raises(Unauthorized):
        await proved(provider(it), signed(claims(it), OTHER, **header), NONCE)


async def test_a_key_that_is_unknown_is_asked_for_once_more_and_then_refused(it: Rogue) -> None:
    believing = provider(it)
    await proved(believing, signed(claims(it)), NONCE)
    new = RSAKey.generate_key(2048, {"kid": "k2", "use": "sig"}, private=True)
    with pytest.raises(Unauthorized, match="a key that it does not name"):
        await proved(believing, signed(claims(it), new, kid="k2"), NONCE)
    it.keys = [new.as_dict(private=False)]
    assert (await proved(believing, signed(claims(it), new, kid="k2"), NONCE)).subject == "ann"
    # The old one is of no use any more.
    with pytest.raises(Unauthorized):
        await proved(believing, signed(claims(it)), NONCE)


async def test_keys_for_encryption_do_not_sign_and_several_keys_need_a_name(it: Rogue) -> None:
    it.keys = [KEY.as_dict(private=False) | {"use": "enc"}]
    with pytest.raises(Unauthorized):
        await proved(provider(it), signed(claims(it)), NONCE)
    it.keys = [KEY.as_dict(private=False), OTHER.as_dict(private=False) | {"kid": "k2"}]
    with pytest.raises(Unauthorized, match="by which key"):
        await proved(provider(it), signed(claims(it), kid=None), NONCE)


async def test_a_document_of_another_issuer_is_not_believed(it: Rogue) -> None:
    for issuer in ("https://other.example", it.issuer + "/", ""):
        it.about["issuer"] = issuer
        with pytest.raises(Unauthorized, match="another issuer"):
            await provider(it).about()


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:22/",
        "http://other.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "https://user:password@other.example/",
        "javascript:alert(1)",
        "//other.example",
        "https://[::1",
        "",
    ],
)
async def test_a_document_leads_to_https_only(it: Rogue, name: str, url: str) -> None:
    it.about[name] = url
    with pytest.raises(Invalid, match=r"not HTTPS|is none"):
        await provider(it).about()


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("[::1]", False),
        ("[::ffff:10.0.0.1]", False),
        ("169.254.169.254", False),
        ("169.254.169.254", True),
        ("[fd00:ec2::254]", True),
    ],
)
async def test_a_document_leads_nowhere_that_this_server_may_not_call(
    it: Rogue, host: str, private: bool
) -> None:
    it.about |= {"token_endpoint": f"https://{host}/t", "jwks_uri": f"https://{host}/k"}
    calling = provider(it, private=private)
    with pytest.raises(Forbidden):
        await calling.exchanged("code", verifier="v" * 43, callback="http://nimbi/callback")
    with pytest.raises(Forbidden):
        await calling.keys()


async def test_a_redirect_is_not_followed(it: Rogue) -> None:
    it.answer = (302, {})
    with pytest.raises(Unauthorized):
        await provider(it).exchanged("code", verifier="v" * 43, callback="http://nimbi/callback")
    assert it.asked == ["/.well-known/openid-configuration", "/token"]


@pytest.mark.parametrize("answer", [(500, {}), (200, {}), (200, {"id_token": 7}), (400, {})])
async def test_an_answer_that_is_none_is_an_error_that_tells_so(
    it: Rogue, answer: tuple[int, dict[str, Any]]
) -> None:
    it.answer = answer
    with pytest.raises(CloudError) as told:
        await provider(it).exchanged("code", verifier="v" * 43, callback="http://nimbi/callback")
    assert "code" not in str(told.value).split()


async def test_what_a_provider_says_is_told_on_as_a_word_only(it: Rogue) -> None:
    it.answer = (400, {"error": "<b>\r\nset-cookie"})
    with pytest.raises(Unauthorized, match="status 400"):
        await provider(it).exchanged("code", verifier="v" * 43, callback="http://nimbi/callback")
    it.answer = (400, {"error": "invalid_grant"})
    with pytest.raises(Unauthorized, match="invalid_grant"):
        await provider(it).exchanged("code", verifier="v" * 43, callback="http://nimbi/callback")


@pytest.mark.parametrize("issuer", ["http://idp.example", "ftp://x", "idp.example", ""])
def test_an_issuer_is_an_https_url(issuer: str) -> None:
    with pytest.raises(Invalid):
        Provider(OpenIdOptions(issuer=issuer, client_id=CLIENT), Destinations(private=True))


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    with rogue() as gone:
        pass
    with pytest.raises(CloudUnavailable):
        await provider(gone).about()


def test_the_secret_is_not_shown() -> None:
    options = OpenIdOptions(issuer="https://x", client_id="c", client_secret="s3cret-of-mine")
    assert "s3cret-of-mine" not in repr(options)
