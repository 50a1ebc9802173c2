"""Gateways to EC2 that do less, or do it by boto3: `python -m bench.gateways NAME PORT ENDPOINT`.

Each takes HTTP Basic and lists instances, on the same uvicorn as Nimbi.
"""

import sys
from base64 import b64decode
from functools import lru_cache
from hashlib import sha256
from typing import Any

import aiohttp
import boto3
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nimbi.wire.sigv4 import Keys, Scope, signed

REGION = "eu-west-1"
BODY = b"Action=DescribeInstances&Version=2016-11-15&MaxResults=1000"
DIGEST = sha256(BODY).hexdigest()
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def login(request: Request) -> tuple[str, str]:
    encoded = request.headers["authorization"].partition(" ")[2]
    user, _, password = b64decode(encoded).decode().partition(":")
    return user, password


def client_of(endpoint: str, user: str, password: str) -> Any:
    """Return boto3's client of EC2, which never asks the network for anything else."""
    return boto3.client(
        "ec2",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=user,
        aws_secret_access_key=password,
    )


def unparsed(endpoint: str) -> Starlette:
    """Return the floor: the answer is signed for, and passed through as it came."""
    sessions: list[aiohttp.ClientSession] = []

    async def instances(request: Request) -> Response:
        if not sessions:
            sessions.append(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        keys = Keys(*login(request))
        headers = signed("POST", f"{endpoint}/", FORM, DIGEST, keys, Scope(REGION, "ec2"))
        async with sessions[0].post(f"{endpoint}/", data=BODY, headers=headers) as answer:
            return Response(await answer.read(), media_type="text/xml")

    return Starlette(routes=[Route("/instances", instances)])


def threads(endpoint: str) -> Starlette:
    """Return the usual way: boto3 in threads, a client for each login kept."""
    clients = lru_cache(maxsize=1000)(client_of)

    async def instances(request: Request) -> Response:
        client = clients(endpoint, *login(request))
        told = await run_in_threadpool(client.describe_instances)
        found = [neutral(i) for r in told["Reservations"] for i in r["Instances"]]
        return Response(msgspec.json.encode({"instances": found}), media_type="application/json")

    return Starlette(routes=[Route("/instances", instances)])


def neutral(instance: dict[str, Any]) -> dict[str, Any]:
    """Return what any gateway tells of an instance."""
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
    return {
        "id": instance["InstanceId"],
        "name": tags.get("Name"),
        "state": instance["State"]["Name"],
        "image_id": instance["ImageId"],
        "hardware_profile_id": instance["InstanceType"],
        "realm_id": instance["Placement"]["AvailabilityZone"],
        "public_addresses": [instance.get("PublicIpAddress")],
        "private_addresses": [instance.get("PrivateIpAddress")],
        "key_id": instance.get("KeyName"),
        "firewall_ids": [group["GroupId"] for group in instance["SecurityGroups"]],
        "created_at": instance["LaunchTime"],
    }


GATEWAYS = {"unparsed": unparsed, "threads": threads}

if __name__ == "__main__":
    name, port, endpoint = sys.argv[1:]
    uvicorn.run(
        GATEWAYS[name](endpoint),
        port=int(port),
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_level="error",
        server_header=False,
        ws="none",
    )
