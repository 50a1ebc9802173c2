"""Secrets are seen by nobody but whom they are told: not in answers, logs, files or errors."""

import logging
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.frontends.native.conftest import client
from tests.frontends.native.serving import LOGIN, broker_over_mock, token

from nimbi.broker.site import Broker
from nimbi.frontends.native.app import NativeApp
from nimbi.model.accounts import AccountChange
from nimbi.store.backup import back_up

# What the test tells; each is to be found nowhere afterwards.
TOLD = {
    "admin": "the-admins-own-password",
    "account": "password-of-another-account",
    "changed": "password-that-came-later",
    "refused": "password-that-was-refused",
    "instance": "password-to-log-in-with",
    "command": "password-of-a-command",
    "key": "-----BEGIN-A-PRIVATE-KEY-THAT-IS-NONE-----",
    "data": "user-data-with-a-password",
    "url": "password-within-a-url",
    "misplaced": "password-in-the-wrong-field",
    "guess": "nimbi_guessed-secret-of-nobody-at-all",
}
INSTANCES = "/v1/accounts/mock/instances"
# Answers that tell a secret, once: what they are asked.
GIVEN_BY = frozenset({"tokens", "webhooks", "keys", "login"})


class Ear:
    """Hears all answers of a client, and which secrets some of them told."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.heard: list[tuple[str, bytes]] = []
        self.told: dict[str, str] = {}

    async def ask(self, method: str, path: str, json: Any = None, **more: Any) -> httpx.Response:
        answer = await self.http.request(method, path, json=json, **more)
        head = " ".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
        self.heard.append((f"{method} {path}", head + answer.content))
        return answer

    async def done(self, method: str, path: str, json: Any = None, **more: Any) -> None:
        """Ask for what is carried out."""
        answer = await self.ask(method, path, json, **more)
        assert answer.is_success, answer.text

    async def once(self, path: str, json: Any, member: str) -> None:
        """Ask for what is told just now; the same key tells it again, and nobody else."""
        answer = await self.http.post(path, json=json, headers={"idempotency-key": path})
        assert answer.status_code == 201, answer.text
        told = answer.json()[member]
        self.told[path] = told["password"] if isinstance(told, dict) else told


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


async def lived(ear: Ear, broker: Broker) -> None:
    """Do with secrets what people do with them, and what they do wrong."""
    await broker.people.set_admin_password(TOLD["admin"])
    wish = {"user": "admin", "password": TOLD["admin"], "name": "of-admin"}
    await ear.once("/v1/login", wish, "secret")
    await ear.once("/v1/tokens", {"name": "script"}, "secret")
    await ear.once("/v1/webhooks", {"url": "https://93.184.215.14/hook"}, "secret")
    await ear.once("/v1/accounts/mock/keys", {"name": "mine"}, "private_key")
    other = {"user": "me", "password": TOLD["account"]}
    account = {"id": "other", "driver": "mock", "credentials": other}
    await ear.done("POST", "/v1/accounts?test=false", account)
    await ear.done(
        "PATCH",
        "/v1/accounts/other?test=false",
        {"credentials": other | {"password": TOLD["changed"]}},
    )
    await broker.accounts.change("other", AccountChange(tags={"a": "b"}), test=False)
    await ear.done("POST", "/v1/accounts/other/test")
    instance = {
        "image_id": "img1",
        "password": TOLD["instance"],
        "user_data": b64encode(TOLD["data"].encode()).decode(),
        "name": "with-secrets",
    }
    await ear.once(INSTANCES, instance, "login")
    command = {"line": "id", "password": TOLD["command"], "private_key": TOLD["key"]}
    await ear.done("POST", f"{INSTANCES}/inst1/run", command)


async def failed(ear: Ear) -> None:
    """Tell secrets where they are not taken, or not understood."""
    refused = {"user": "me", "password": TOLD["refused"]}
    bad = [
        {"id": "bad", "driver": "mock", "credentials": refused},
        {"id": "bad", "driver": "mock", "credentials": refused | {"more": TOLD["misplaced"]}},
        {"id": "bad", "driver": "mock", "credentials": TOLD["misplaced"]},
        {"id": "bad", "driver": "mock", "credentials": {"password": [TOLD["misplaced"]]}},
    ]
    for account in bad:
        assert (await ear.ask("POST", "/v1/accounts", account)).status_code >= 400
    for body in ({"user": "admin", "password": TOLD["refused"]}, {"password": TOLD["refused"]}):
        assert (await ear.ask("POST", "/v1/login", body)).status_code >= 400
    hook = {"url": f"https://me:{TOLD['url']}@93.184.215.14/"}
    assert (await ear.ask("POST", "/v1/webhooks", hook)).status_code >= 400
    for scheme in ("Bearer", "Basic", "Digest"):
        headers = {"authorization": f"{scheme} {TOLD['guess']}"}
        assert (await ear.ask("GET", "/v1/accounts", headers=headers)).status_code == 401
    command = {"line": "id", "password": TOLD["command"], "private_key": TOLD["key"], "port": "x"}
    assert (await ear.ask("POST", f"{INSTANCES}/inst1/run", command)).status_code == 422


async def looked(ear: Ear) -> None:
    """Ask for everything that can be listed."""
    pages = [
        *("/v1/accounts", "/v1/accounts/other", "/v1/tokens", "/v1/webhooks", "/v1/drivers"),
        *("/v1/events?limit=1000", "/v1/orphans", "/v1/login", "/v1/keys?fresh=true"),
        *("/v1/instances?fresh=true", "/v1/instances", "/v1/accounts/mock/keys"),
        *(INSTANCES, f"{INSTANCES}?limit=1000", "/v1/accounts/mock/keys/mine"),
    ]
    for page in pages:
        assert (await ear.ask("GET", page)).status_code == 200, page


def operator_keys(folder: Path) -> list[str]:
    return [line.partition(":")[2] for line in (folder / "key").read_text().splitlines()]


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield all files below a folder, but the one that keeps the operator's key."""
    for file in folder.rglob("*"):
        if file.is_file() and file.name != "key":
            yield str(file.relative_to(folder)), file.read_bytes()


async def test_secrets_are_found_nowhere(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    async with broker_over_mock(tmp_path, private=False) as broker:
        app, first = NativeApp(broker), await token(broker)
        async with client(app, {"authorization": f"Bearer {first}"}) as http:
            ear = Ear(http)
            await lived(ear, broker)
            await failed(ear)
            await looked(ear)
        await back_up(f"sqlite:///{tmp_path}/nimbi.db", tmp_path / "dump")
        shown = repr(vars(broker)).encode()
    keys = operator_keys(tmp_path)
    secrets = {**TOLD, **ear.told, "first": first, "mock": LOGIN["password"]}
    secrets |= {f"operator {at}": key for at, key in enumerate(keys)}
    assert len(keys) == 1
    places = [
        *ear.heard,
        *files(tmp_path),
        ("the log", logged.text.encode()),
        ("repr", shown),
    ]
    found = [
        (name, place)
        for name, secret in secrets.items()
        for place, content in places
        if secret.encode() in content
    ]
    assert found == []
