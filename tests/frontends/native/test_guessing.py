"""Guessing tokens and passwords is slowed down, for whoever guesses and for nobody else."""

import asyncio
from base64 import b64encode
from collections.abc import Callable

import httpx
import pytest
from tests.frontends.native.conftest import Api
from tests.frontends.native.serving import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

# All within the first pause, a second.
GUESSES = 10
# So many mistakes are anybody's.
FREE = 5
ACCOUNTS = "/v1/accounts"


def at(api: Api, address: str) -> httpx.AsyncClient:
    """Return a client at an address, with no login."""
    transport = httpx.ASGITransport(app=api.app, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://nimbi")


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def basic(secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"me:{secret}".encode()).decode()}


@pytest.mark.parametrize(
    ("login", "network"),
    [(bearer, "192.0.2"), (basic, "198.51.100")],
)
async def test_wrong_tokens_cost_ever_longer_pauses(
    api: Api, login: Callable[[str], dict[str, str]], network: str
) -> None:
    async with at(api, f"{network}.7") as guesser:
        answers = [
            await guesser.get(ACCOUNTS, headers=login(f"nimbi_guess{n:037}"))
            for n in range(GUESSES)
        ]
        statuses = [answer.status_code for answer in answers]
        assert statuses == [401] * FREE + [429] * (GUESSES - FREE)
        assert all(answer.headers["www-authenticate"] for answer in answers[:FREE])
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers[FREE:])
        # A token that is right, and was never seen, has to wait with the rest.
        right = await token(api.broker)
        assert (await guesser.get(ACCOUNTS, headers=login(right))).status_code == 429
    async with at(api, f"{network}.8") as other:
        assert (await other.get(ACCOUNTS, headers=login(right))).status_code == 200


async def test_who_was_known_before_works_on_beside_a_guesser(api: Api) -> None:
    right = await token(api.broker)
    async with at(api, "203.0.113.7") as both:
        assert (await both.get(ACCOUNTS, headers=bearer(right))).status_code == 200
        for n in range(GUESSES):
            await both.get(ACCOUNTS, headers=bearer(f"nimbi_guess{n:037}"))
        assert (await both.get(ACCOUNTS, headers=bearer(right))).status_code == 200


async def test_wrong_passwords_cost_pauses_too(api: Api) -> None:
    await api.broker.people.set_admin_password("the admin's own password")
    async with at(api, "203.0.113.9") as guesser:
        statuses = [
            (
                await guesser.post("/v1/login", json={"user": "admin", "password": f"guess {n}"})
            ).status_code
            for n in range(FREE + 5)
        ]
        assert statuses == [401] * FREE + [429] * 5
        right = {"user": "admin", "password": "the admin's own password"}
        assert (await guesser.post("/v1/login", json=right)).status_code == 429
    async with at(api, "203.0.113.10") as admin:
        assert (await admin.post("/v1/login", json=right)).status_code == 201


async def test_addresses_of_one_ipv6_network_are_one(api: Api) -> None:
    for n in range(FREE):
        async with at(api, f"2001:db8:1:2::{n + 1:x}") as guesser:
            await guesser.get(ACCOUNTS, headers=bearer(f"nimbi_guess{n:037}"))
    async with at(api, "2001:db8:1:2::ffff") as neighbour:
        answer = await neighbour.get(ACCOUNTS, headers=bearer("nimbi_guess" + "9" * 37))
        assert answer.status_code == 429


async def test_what_is_no_token_counts_for_nobody(api: Api) -> None:
    async with at(api, "203.0.113.11") as stranger:
        for _ in range(GUESSES):
            assert (await stranger.get(ACCOUNTS)).status_code == 401
        right = await token(api.broker)
        assert (await stranger.get(ACCOUNTS, headers=bearer(right))).status_code == 200


async def test_passwords_guessed_at_once_are_slowed_down_as_well(api: Api) -> None:
    await api.broker.people.set_admin_password("the admin's own password")
    async with at(api, "203.0.113.12") as guesser:
        wishes = [{"user": "admin", "password": f"guess {n}"} for n in range(4 * FREE)]
        answers = await asyncio.gather(*(guesser.post("/v1/login", json=w) for w in wishes))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {401, 429}
    # Those that were being looked at when the limit was reached.
    assert statuses.count(401) <= FREE + 2
