"""oidc-provider (npm), a certified OpenID Connect provider, in a directory of its own."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from joserfc.jwk import RSAKey
from tests.targets.stores import Server, free_port, running

VERSION = "8.8.1"
# The oldest that it runs on.
NODE = 18
SCRIPT = Path(__file__).with_name("oidc.mjs")

CLIENT, SECRET = "nimbi", "secret-of-the-client-of-tests"

_FORM = re.compile(r'<form[^>]*action="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
MOST_STEPS = 12


def installed(place: Path) -> Path:
    """Return the directory with the provider in it. Skips where npm cannot bring it."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm is not installed, which brings oidc-provider")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    if int(version.strip().lstrip("v").partition(".")[0] or 0) < NODE:
        pytest.skip(f"oidc-provider needs Node {NODE}, this is {version.strip()}")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", place]
    brought = subprocess.run(
        [*command, f"oidc-provider@{VERSION}"], capture_output=True, text=True, timeout=300
    )
    if brought.returncode != 0:
        pytest.skip(f"npm cannot bring oidc-provider: {brought.stderr.strip()[-200:]}")
    shutil.copy(SCRIPT, place)
    return place


def new_key(id: str) -> RSAKey:
    """Return a key that signs."""
    return RSAKey.generate_key(2048, {"kid": id, "use": "sig", "alg": "RS256"}, private=True)


@dataclass
class Provider:
    """A provider on the loopback, whose users sign in with any password.

    `people` are the claims of each user by its subject. It may be run again, with other keys.
    """

    place: Path
    callbacks: Sequence[str]
    people: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self, *keys: RSAKey) -> Iterator[None]:
        """Run it until the block ends."""
        told = {
            "issuer": self.issuer,
            "port": self.port,
            "people": self.people,
            "keys": [key.as_dict(private=True) for key in keys],
            "clients": [
                {
                    "client_id": CLIENT,
                    "client_secret": SECRET,
                    "redirect_uris": list(self.callbacks),
                    "grant_types": [
                        "authorization_code",
                        "urn:ietf:params:oauth:grant-type:device_code",
                    ],
                    "response_types": ["code"],
                }
            ],
        }
        node = shutil.which("node") or "node"
        command = [node, str(self.place / SCRIPT.name), json.dumps(told)]
        with running(Server(command, self.port, self.place / "log")):
            yield


class Browser:
    """Somebody with a browser, who signs in and agrees to everything."""

    def __init__(self, user: str) -> None:
        self.user = user
        self._client = httpx.Client(timeout=30)

    def goes_to(self, url: str) -> str:
        """Return where the provider sends the browser in the end, away from itself."""
        home = httpx.URL(url).netloc
        answer = self._client.get(url)
        for _ in range(MOST_STEPS):
            if answer.is_redirect:
                url = urljoin(str(answer.request.url), answer.headers["location"])
                if httpx.URL(url).netloc != home:
                    return url
                answer = self._client.get(url)
            elif (form := _FORM.search(answer.text)) is not None:
                answer = self._fills_in(answer, form[1])
            else:
                return answer.text
        raise AssertionError(f"the provider does not come to an end: {answer.text[:500]}")

    def _fills_in(self, answer: httpx.Response, action: str) -> httpx.Response:
        told = dict(_HIDDEN.findall(answer.text))
        if 'name="login"' in answer.text:
            told |= {"login": self.user, "password": "any"}
        return self._client.post(urljoin(str(answer.request.url), action), data=told)

    def close(self) -> None:
        self._client.close()


if __name__ == "__main__":
    # The browser of a command: `python -m tests.targets.oidc USER URL`.
    visitor = Browser(sys.argv[1])
    httpx.get(visitor.goes_to(sys.argv[2]), follow_redirects=True, timeout=30)
    visitor.close()
