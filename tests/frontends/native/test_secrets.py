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

from nimbi.broker.health.mail import MailServer
from nimbi.broker.openid.provider import OpenIdOptions
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
    "user": "password-of-a-user",
    "user changed": "password-of-a-user-that-came-later",
    "user refused": "password-of-a-user-refused",
    "job": "password-to-log-in-to-what-a-job-makes",
    "job data": "user-data-of-a-job-with-a-password",
    "job failed": "password-of-a-job-that-fails",
    "schedule": "password-of-what-a-schedule-makes",
    "code": "code-of-a-sign-in-elsewhere",
    "verifier": "verifier-of-a-sign-in-elsewhere-" + 20 * "v",
    "mail": "password-of-the-mail-server",
    "openid": "secret-of-the-client-at-the-provider",
}
# User data is told, and would be kept, in this form.
ENCODED = {
    f"{name} as base64": b64encode(TOLD[name].encode()).decode() for name in ("data", "job data")
}
# Nothing answers there.
MAIL = MailServer(
    host="127.0.0.1",
    port=1,
    security="tls",
    sender="nimbi@nimbi.example",
    user="nimbi",
    password=TOLD["mail"],
)
OPENID = OpenIdOptions(
    issuer="https://127.0.0.1:1", client_id="nimbi", client_secret=TOLD["openid"]
)
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
    # The test's own client tells whole addresses, as a browser knows them.
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.WARNING, "httpx"):
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


async def shared(ear: Ear) -> None:
    """Let users in, and sign in as one."""
    user = {"name": "ann", "password": TOLD["user"]}
    await ear.done("POST", "/v1/users", user)
    await ear.done("POST", "/v1/grants", {"role": "user", "tenant": "root", "user": "ann"})
    await ear.once("/v1/login", {"user": "ann", "password": TOLD["user"], "name": "hers"}, "secret")
    await ear.done("PATCH", "/v1/users/ann", {"password": TOLD["user changed"]})
    await ear.done("POST", "/v1/users", {"name": "robot", "kind": "service"})
    await ear.done("POST", "/v1/grants", {"role": "user", "tenant": "root", "user": "robot"})
    for bad in (
        {"name": "bob", "kind": "service", "password": TOLD["user refused"]},
        {"name": "b o b", "password": TOLD["user refused"]},
        {"name": "ann", "password": TOLD["user refused"]},
        {"name": "bob", "email": {"password": TOLD["user refused"]}},
    ):
        assert (await ear.ask("POST", "/v1/users", bad)).status_code >= 400
    code = {"code": TOLD["code"], "verifier": TOLD["verifier"]}
    for path, body in (
        ("/v1/openid/token", code),
        ("/v1/openid/poll", {"device_code": TOLD["code"]}),
        ("/v1/openid/device", None),
    ):
        assert (await ear.ask("POST", path, body)).status_code >= 400, path
    back = await ear.ask("GET", f"/v1/openid/callback?state=none&code={TOLD['code']}")
    assert back.status_code >= 400
    assert (await ear.ask("GET", "/v1/openid")).status_code == 503


async def worked(ear: Ear, broker: Broker) -> None:
    """Let jobs and schedules make what has secrets, and fail at it."""
    new = {
        "image_id": "img1",
        "name": "of-a-job",
        "password": TOLD["job"],
        "user_data": ENCODED["job data as base64"],
    }
    bad = {"image_id": "none", "name": "of-none", "password": TOLD["job failed"]}
    at = {"cron": "0 20 * * *", "is_enabled": True}
    async with broker.jobs.running():
        for wish, state in ((new, "done"), (bad, "failed")):
            told = {"kind": "launch", "arguments": {"account": "mock", "new": wish}}
            job = (await ear.ask("POST", "/v1/jobs", told)).json()["id"]
            ended = (await ear.ask("GET", f"/v1/jobs/{job}?wait=60")).json()
            assert ended["state"] == state, ended
            await ear.done("GET", f"/v1/jobs/{job}/log")
        wish = new | {"password": TOLD["schedule"]}
        told = {"kind": "launch", "arguments": {"account": "mock", "new": wish}} | at
        await ear.done("POST", "/v1/schedules", told)
    for wrong in ({"new": bad | {"image_id": 1}}, {"new": TOLD["misplaced"]}):
        told = {"kind": "launch", "arguments": {"account": "mock"} | wrong}
        assert (await ear.ask("POST", "/v1/jobs", told)).status_code == 422
        assert (await ear.ask("POST", "/v1/schedules", told | at)).status_code == 422


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
        *("/v1/users", "/v1/users/ann", "/v1/groups", "/v1/grants", "/v1/roles", "/v1/projects"),
        *("/v1/jobs", "/v1/schedules", "/v1/checks", "/v1/alerts", "/v1/holdings", "/v1/usage"),
        *("/v1/audit?limit=1000&all=true", "/v1/audit/export?form=json", "/v1/bills"),
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
    async with broker_over_mock(tmp_path, private=False, mail=MAIL, openid=OPENID) as broker:
        app, first = NativeApp(broker), await token(broker)
        async with client(app, {"authorization": f"Bearer {first}"}) as http:
            ear = Ear(http)
            await lived(ear, broker)
            await shared(ear)
            await worked(ear, broker)
            await failed(ear)
            await looked(ear)
        await back_up(f"sqlite:///{tmp_path}/nimbi.db", tmp_path / "dump")
        shown = repr((vars(broker), MAIL, OPENID)).encode()
    keys = operator_keys(tmp_path)
    secrets = {**TOLD, **ENCODED, **ear.told, "first": first, "mock": LOGIN["password"]}
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
