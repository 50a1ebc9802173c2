"""Clients that know what they asked for, and what they were told."""

import asyncio
import json
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
from tests.soak.clouds import NAMES

# A client asks again for this long, and then counts the request as lost: a machine that is loaded
# otherwise may take minutes to start a server.
PATIENCE_S = 600.0
ANSWER_S = 60.0
# What somebody asks again after.
PAUSE_S = (0.05, 1.0)
THINK_S = 0.3
MOST_HELD = 5

# After these nothing more is to be learnt by asking again.
ENDS = frozenset(
    {"invalid", "not_found", "conflict", "out_of_capacity", "quota_exceeded", "forbidden"}
)
IN_PROGRESS = "key_in_progress"
JOB_ENDS = frozenset({"done", "failed", "cancelled"})
CANCELLED = 0.15


class Place(Protocol):
    """Where clients ask."""

    @property
    def url(self) -> str: ...


@dataclass
class Wish:
    """One thing that a client wants, and what it was told of it last."""

    cloud: str
    collection: str
    name: str
    id: str | None = None
    state: str | None = None
    project: str = ""
    size_gib: int = 0
    is_removed: bool = False

    @property
    def is_held(self) -> bool:
        return self.id is not None and not self.is_removed

    @property
    def path(self) -> str:
        return f"/v1/accounts/{self.cloud}/{self.collection}/{self.id}"


@dataclass(frozen=True)
class Reply:
    """The last answer to a request. `is_sure`: no attempt before it may have been done."""

    status: int
    code: str
    body: Any
    request_ids: tuple[str, ...]
    is_sure: bool

    @property
    def is_well(self) -> bool:
        return 200 <= self.status < 300


@dataclass
class Tally:
    """What all clients saw."""

    requests: int = 0
    attempts: int = 0
    lost: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    # Of each request that changed something: the ids of all its attempts.
    changed: list[tuple[str, ...]] = field(default_factory=list)


class Client:
    """Makes things, uses them and removes them, over whichever server answers."""

    def __init__(
        self,
        number: int,
        places: Sequence[Place],
        session: aiohttp.ClientSession,
        tally: Tally,
        token: str,
        project: str = "",
    ) -> None:
        self.number = number
        self.project = project
        self.wishes: list[Wish] = []
        self.is_leaving = False
        self._places = places
        self._session = session
        self._tally = tally
        self._dice = random.Random(number)
        self._headers = {"authorization": f"Bearer {token}"}

    async def run(self, until: float) -> None:
        """Work until the loop's clock shows this time, or it is leaving; finish what is begun."""
        loop = asyncio.get_running_loop()
        while loop.time() < until and not self.is_leaving:
            held = [wish for wish in self.wishes if wish.is_held]
            doings = [self._launch, self._volume, self._list]
            if self.project:
                doings.append(self._job)
            if held:
                doings += [self._look, self._turn, self._remove]
            if len(held) >= MOST_HELD:
                doings = [self._remove]
            await self._dice.choice(doings)()
            await asyncio.sleep(self._dice.random() * THINK_S)

    async def remove_all(self) -> None:
        """Remove what it holds."""
        for wish in self.wishes:
            if wish.is_held:
                await self._end(wish)

    async def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """Ask until the answer is one to rely on. A POST has a key, the same at each attempt."""
        self._tally.requests += 1
        headers = {**self._headers}
        if method == "POST":
            headers["idempotency-key"] = uuid.UUID(int=self._dice.getrandbits(128)).hex
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        ids: list[str] = []
        is_sure = True
        while True:
            status, code, told, id = await self._attempt(method, path, body, headers)
            ids.append(id)
            if status and (status < 300 or code in ENDS):
                return self._ended(method, Reply(status, code, told, tuple(ids), is_sure))
            # Nothing at all, or an end that nobody knows: it may have been done.
            is_sure &= code in {"throttled", IN_PROGRESS}
            if loop.time() > until:
                self._tally.lost.append(f"{method} {path}: {status} {code} {told}")
                return Reply(status, code, told, tuple(ids), False)
            await asyncio.sleep(self._dice.uniform(*PAUSE_S))

    async def get(self, method: str, path: str, body: Any = None) -> Any:
        """Return the body of an answer that must be a good one."""
        reply = await self.ask(method, path, body)
        assert reply.is_well, (method, path, reply)
        return reply.body

    def _ended(self, method: str, reply: Reply) -> Reply:
        if method != "GET" and reply.is_well:
            self._tally.changed.append(reply.request_ids)
        return reply

    async def _attempt(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, str, Any, str]:
        """Ask one server; status 0 when it gave no whole answer."""
        self._tally.attempts += 1
        url = self._dice.choice(self._places).url + path
        id = f"soak-{self.number}-{self._dice.getrandbits(64):x}"
        try:
            async with self._session.request(
                method, url, json=body, headers={**headers, "x-request-id": id}
            ) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self._tally.answers[type(error).__name__] += 1
            return 0, "", None, id
        told = json.loads(text) if text else None
        if told is None and answer.status in {200, 201}:
            # Such an answer always has a body.
            self._tally.lost.append(f"{method} {path}: {answer.status} and {text!r} {id}")
        code = ""
        if answer.status >= 400:
            code = told["code"]
            if told["type"].endswith(IN_PROGRESS):
                code = IN_PROGRESS
        self._tally.answers[f"{answer.status} {code}".strip()] += 1
        return answer.status, code, told, id

    async def _launch(self) -> None:
        profile = self._dice.choice(("m1-small", "m1-large"))
        wish = self._wish("instances")
        await self._make(wish, {"image_id": "img1", "hardware_profile_id": profile})

    async def _volume(self) -> None:
        wish = self._wish("volumes")
        wish.size_gib = self._dice.choice((1, 2, 5))
        await self._make(wish, {"size_gib": wish.size_gib})

    def _wish(self, collection: str, cloud: str = "", more: str = "") -> Wish:
        name = f"soak-{self.number}-{len(self.wishes)}{more}"
        cloud = cloud or self._dice.choice(NAMES)
        self.wishes.append(Wish(cloud, collection, name, project=self.project))
        return self.wishes[-1]

    async def _make(self, wish: Wish, new: dict[str, Any]) -> None:
        path = f"/v1/accounts/{wish.cloud}/{wish.collection}"
        reply = await self.ask("POST", path, {**new, "name": wish.name})
        if reply.is_well and reply.body is not None:
            wish.id, wish.state = reply.body["id"], reply.body["state"]

    async def _job(self) -> None:
        """Launch two at once by a job, and sometimes think better of it."""
        cloud, name = self._dice.choice(NAMES), f"soak-{self.number}-{len(self.wishes)}-job"
        new = {"image_id": "img1", "hardware_profile_id": "m1-small", "name": name}
        wishes = [Wish(cloud, "instances", f"{name}-{n}", project=self.project) for n in (1, 2)]
        self.wishes += wishes
        policy = self._dice.choice(("keep", "retry-missing", "roll-back"))
        told = {"account": cloud, "new": new, "count": 2, "on_failure": policy, "patience_s": 60}
        reply = await self.ask("POST", "/v1/jobs", {"kind": "launch", "arguments": told})
        if not reply.is_well:
            return
        path = f"/v1/jobs/{reply.body['id']}"
        if self._dice.random() < CANCELLED:
            await self.ask("POST", f"{path}/cancel", {})
        job = await self._ended_job(path)
        for id in (job.get("result") or {}).get("ids", ()):
            made = await self.ask("GET", f"/v1/accounts/{cloud}/instances/{id}")
            for wish in wishes:
                if made.is_well and wish.name == made.body["name"]:
                    wish.id, wish.state = id, made.body["state"]

    async def _ended_job(self, path: str) -> Any:
        """Return a job at its end, or as it is when nobody has patience any more."""
        loop = asyncio.get_running_loop()
        until = loop.time() + 2 * PATIENCE_S
        while True:
            job = (await self.ask("GET", f"{path}?wait=10")).body
            if job is not None and job.get("state") in JOB_ENDS:
                self._tally.answers[f"job {job['state']}"] += 1
                return job
            if loop.time() > until:
                self._tally.lost.append(f"{path} does not end: {job}")
                return {}

    async def _list(self) -> None:
        path = self._dice.choice(("/v1/instances", "/v1/volumes", "/v1/accounts"))
        await self.ask("GET", f"{path}?limit=50" if path != "/v1/accounts" else path)

    def _one(self) -> Wish:
        return self._dice.choice([wish for wish in self.wishes if wish.is_held])

    async def _look(self) -> None:
        wish = self._one()
        reply = await self.ask("GET", wish.path)
        if reply.status == 404:
            self._tally.lost.append(f"{wish.path} is gone, and {wish.name} holds it")

    async def _turn(self) -> None:
        """Stop what runs, start what is stopped."""
        wish = self._one()
        if wish.collection != "instances":
            return
        verb, after = ("stop", "stopped") if wish.state == "running" else ("start", "running")
        reply = await self.ask("POST", f"{wish.path}/{verb}", {})
        if reply.is_well or (reply.code == "conflict" and not reply.is_sure):
            wish.state = after
        else:
            self._tally.lost.append(f"{verb} of {wish.path}: {reply.status} {reply.body}")

    async def _remove(self) -> None:
        await self._end(self._one())

    async def _end(self, wish: Wish) -> None:
        # Only what is stopped may be removed.
        if wish.state == "running":
            reply = await self.ask("POST", f"{wish.path}/stop", {})
            if reply.is_well or (reply.code == "conflict" and not reply.is_sure):
                wish.state = "stopped"
        reply = await self.ask("DELETE", wish.path)
        if reply.is_well or (reply.code == "not_found" and not reply.is_sure):
            wish.is_removed = True
        else:
            self._tally.lost.append(f"DELETE {wish.path}: {reply.status} {reply.body}")
