"""Answers of EC2 in the shape of its documentation, for tests to fill in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web
from tests.drivers.ec2.conftest import LOGIN
from tests.drivers.ec2.services import Asked, Aws, Handler, serving

from nimbi.drivers.ec2 import DRIVER
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud

IMAGE_ID = "ami-0123456789abcdef0"
INSTANCE_ID = "i-0123456789abcdef0"

# Repetitions come at once.
CALLS = {"backoff_s": 0.001, "backoff_max_s": 0.001}


@asynccontextmanager
async def clouds(
    handler: Handler, state_dir: Path, **settings: Any
) -> AsyncIterator[tuple[Cloud, Aws]]:
    """Give a login to what the handler answers."""
    async with serving(handler) as aws:
        told = {"endpoint_url": aws.url, "calls": CALLS, **settings}
        async with opened(
            DRIVER, state_dir, settings=told, credentials=LOGIN, provider="eu-west-1"
        ) as cloud:
            yield cloud, aws


@asynccontextmanager
async def through(moto: str) -> AsyncIterator[Handler]:
    """Give what passes requests on to moto."""
    async with ClientSession(trust_env=False) as client:

        async def passed(asked: Asked) -> web.StreamResponse:
            request = asked.request
            body, headers = await request.read(), dict(request.headers)
            async with client.post(moto + request.path, data=body, headers=headers) as answer:
                return web.Response(status=answer.status, body=await answer.read())

        yield passed


def instance(id: str = INSTANCE_ID, state: str = "running", more: str = "") -> str:
    return (
        f"<item><instanceId>{id}</instanceId><imageId>{IMAGE_ID}</imageId>"
        f"<instanceState><code>0</code><name>{state}</name></instanceState>"
        "<instanceType>t3.micro</instanceType><launchTime>2026-11-20T10:00:00.000Z</launchTime>"
        "<placement><availabilityZone>eu-west-1a</availabilityZone></placement>"
        f"<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>{more}</item>"
    )


def reservations(*instances: str, token: str = "") -> str:
    found = "".join(
        f"<item><ownerId>123456789012</ownerId><instancesSet>{each}</instancesSet></item>"
        for each in instances
    )
    return f"<reservationSet>{found}</reservationSet><nextToken>{token}</nextToken>"


def made(*instances: str) -> str:
    return f"<ownerId>123456789012</ownerId><instancesSet>{''.join(instances)}</instancesSet>"


def moved(before: str, after: str) -> str:
    return (
        f"<instancesSet><item><instanceId>{INSTANCE_ID}</instanceId>"
        f"<currentState><name>{after}</name></currentState>"
        f"<previousState><name>{before}</name></previousState></item></instancesSet>"
    )


def image(id: str = IMAGE_ID, name: str = "an image", more: str = "", **fields: str) -> str:
    told = {
        "imageOwnerId": "123456789012",
        "imageState": "available",
        "architecture": "x86_64",
        "creationDate": "2026-11-20T10:00:00.000Z",
        "rootDeviceType": "ebs",
        **fields,
    }
    texts = "".join(f"<{key}>{value}</{key}>" for key, value in told.items())
    return f"<item><imageId>{id}</imageId><name>{name}</name>{texts}{more}</item>"


def images(*found: str, token: str = "") -> str:
    return f"<imagesSet>{''.join(found)}</imagesSet><nextToken>{token}</nextToken>"


def profile(
    id: str,
    cpus: int = 2,
    memory_mib: int = 1024,
    architectures: tuple[str, ...] = ("x86_64",),
    current: bool = True,
    more: str = "",
) -> str:
    names = "".join(f"<item>{each}</item>" for each in architectures)
    return (
        f"<item><instanceType>{id}</instanceType>"
        f"<currentGeneration>{str(current).lower()}</currentGeneration>"
        "<supportedRootDeviceTypes><item>ebs</item></supportedRootDeviceTypes>"
        f"<processorInfo><supportedArchitectures>{names}</supportedArchitectures></processorInfo>"
        f"<vCpuInfo><defaultVCpus>{cpus}</defaultVCpus></vCpuInfo>"
        f"<memoryInfo><sizeInMiB>{memory_mib}</sizeInMiB></memoryInfo>{more}</item>"
    )


def profiles(*found: str, token: str = "") -> str:
    return f"<instanceTypeSet>{''.join(found)}</instanceTypeSet><nextToken>{token}</nextToken>"
