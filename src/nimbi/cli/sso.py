"""Signing in through the server's OpenID Connect provider: in a browser, here or elsewhere."""

import base64
import hashlib
import secrets
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import click

from nimbi.cli.errors import fail, status_of
from nimbi.cli.table import visible

if TYPE_CHECKING:
    from nimbi.cli.remote import Remote

PLACE = "/v1/openid"
RETURN = "/signed-in"
# How long somebody may take in the browser.
PATIENCE_S = 600.0

DONE = b"""<!doctype html><meta charset="utf-8"><title>Nimbi</title>
<p>Done: go back to the terminal. This page can be closed.</p>
"""

# What is told of a failure at the provider or the server.
FAILURES = {
    "access_denied": "you were not let in: you have not agreed, or nobody here knows you",
    "invalid_grant": "the server does not believe the provider: its log says why",
}


def by_browser(remote: "Remote", wanted: dict[str, Any]) -> str:
    """Return a token once somebody has signed in in a browser on this machine."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    with _listening(state) as (return_to, told):
        body = {"return_to": return_to, "challenge": _challenge(verifier), "state": state}
        url = _checked(remote.ask("POST", PLACE, body=body).value["url"])
        click.echo(f"Sign in here:\n  {visible(url)}", err=True)
        Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        try:
            answer = told.get(timeout=PATIENCE_S)
        except Empty:
            fail("nobody has signed in", status_of("timeout"))
    if "code" not in answer:
        word = answer.get("error", "")
        fail(FAILURES.get(word, f"the sign-in failed: {visible(word)}"), status_of("unauthorized"))
    fetch = {"code": answer["code"], "verifier": verifier, **wanted}
    return str(remote.ask("POST", f"{PLACE}/token", body=fetch).value["secret"])


def by_device(remote: "Remote", wanted: dict[str, Any]) -> str:
    """Return a token once somebody has signed in in a browser anywhere."""
    began = remote.ask("POST", f"{PLACE}/device").value
    url = _checked(began["url"])
    click.echo(f"On any device, go to\n  {visible(url)}\nand type\n  ", nl=False, err=True)
    click.echo(visible(began["user_code"]), err=True)
    until = time.monotonic() + min(began["expires_s"], PATIENCE_S)
    poll = {"device_code": began["device_code"], **wanted}
    made = None
    while made is None:
        if time.monotonic() >= until:
            fail("nobody has signed in", status_of("timeout"))
        time.sleep(began["interval_s"])
        made = remote.ask("POST", f"{PLACE}/poll", body=poll).value
    return str(made["secret"])


@contextmanager
def _listening(state: str) -> Iterator[tuple[str, "Queue[dict[str, str]]"]]:
    """Give the address that a browser comes to in the end, and what it brings along.

    Whoever does not know the state is not listened to: any page can send a browser here.
    """
    told: Queue[dict[str, str]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        # Who connects and says nothing does not keep others out.
        timeout = 5

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            found = {name: values[0] for name, values in parse_qs(parts.query).items()}
            is_ours = parts.path == RETURN and secrets.compare_digest(
                found.get("state", "").encode(), state.encode()
            )
            self.send_response(200 if is_ours else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Content-Length", str(len(DONE) if is_ours else 0))
            self.end_headers()
            if is_ours:
                self.wfile.write(DONE)
                told.put(found)

        def log_message(self, *_args: object) -> None:
            """Say nothing: the code is in the address."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{RETURN}", told
        finally:
            server.shutdown()
            thread.join()


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _checked(url: str) -> str:
    """Return a URL that a browser may open: a server that is not trusted yet has told it."""
    if urlsplit(url).scheme not in {"https", "http"} or not url.isascii() or not url.isprintable():
        fail("the server leads to what is no page")
    return url
