"""A server in a process of its own, and requests to it as the stock clients send them."""

import http.client
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

import msgspec

LOGIN = "mockuser:mockpassword"

# What the gem says of itself on every request, through Faraday and Net::HTTP.
GEM = {
    "Accept": "application/xml",
    "User-Agent": "Faraday v1.1.0",
    "Accept-Encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
}
# A POST of the gem has no body: its parameters are in the query.
GEM_POST = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "0"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def root(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)

    @property
    def ids(self) -> list[str]:
        """The members of a collection, found as the gem finds them: `/*/*`."""
        return [element.attrib["id"] for element in self.root]

    def text(self, path: str) -> str | None:
        found = self.root.find(path)
        return None if found is None else (found.text or "").strip()

    def id_of(self, path: str) -> str | None:
        found = self.root.find(path)
        return None if found is None else found.attrib["id"]


@dataclass(frozen=True)
class Server:
    """A server that runs; `url` is what clients are given."""

    url: str

    def send(
        self, verb: str, path: str, headers: Mapping[str, str], login: str | None = LOGIN
    ) -> Answer:
        place = urlsplit(self.url)
        assert place.hostname is not None
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
        try:
            connection.putrequest(verb, path, skip_accept_encoding=True)
            brought = {} if login is None else {"Authorization": f"Basic {_base64(login)}"}
            for name, value in {**headers, **brought}.items():
                connection.putheader(name, value)
            connection.endheaders()
            reply = connection.getresponse()
            told = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, told, reply.read())
        finally:
            connection.close()

    def gem(self, verb: str, path: str, login: str | None = LOGIN, **parameters: str) -> Answer:
        """Send what the Ruby gem sends."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        headers = GEM | GEM_POST if verb == "POST" else GEM
        return self.send(verb, f"/api{path}{query}", headers, login)

    def python(self, verb: str, path: str, **parameters: str) -> Any:
        """Send what the Python client sends; return the status and the document."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        headers = {"accept": "application/json", "Accept-Encoding": "gzip, deflate"}
        if verb == "POST":
            headers["Content-Length"] = "0"
        answer = self.send(verb, f"{path}{query}", headers)
        return answer.status, msgspec.json.decode(answer.body) if answer.body else None


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


@contextmanager
def serving(place: Path) -> Iterator[Server]:
    nimbi = str(Path(sys.executable).with_name("nimbi"))
    process = subprocess.Popen(
        [nimbi, "serve", "-i", "mock", "-p", "0", "--log", str(place / "log")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"NIMBI_STATE_DIR": str(place / "state")},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        assert line, (place / "log").read_text()
        yield Server(line.rpartition(" ")[2])
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()
