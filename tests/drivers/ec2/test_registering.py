"""Launches behind a load balancer: with moto, whose answers a test may change."""

from pathlib import Path

import pytest
from aiohttp import web
from tests.drivers.ec2.answers import clouds, through
from tests.drivers.ec2.services import Asked, failing

from nimbi.driver.compute import Instances
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.instances import NewInstance
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer

WISH = NewInstance(
    image_id="ami-a1000000a00000000", hardware_profile_id="t3.micro", load_balancer_id="front"
)
FRONT = NewLoadBalancer(
    name="front", realm_id=None, listeners=(Listener(ListenerProtocol.TCP, 80, 80),)
)


async def test_a_launch_waits_until_the_balancer_takes_it(moto: str, tmp_path: Path) -> None:
    pending = 2
    async with through(moto) as passed:

        async def handle(asked: Asked) -> web.StreamResponse:
            nonlocal pending
            answer = await passed(asked)
            if asked.form["Action"] == "DescribeInstances" and pending:
                assert isinstance(answer, web.Response)
                pending -= 1
                body = bytes(answer.body or b"").replace(b"running", b"pending")  # type: ignore[arg-type]
                return web.Response(body=body)
            return answer

        async with clouds(handle, tmp_path) as (cloud, aws):
            await cloud.load_balancers.create(FRONT)
            new = await cloud.instances.create(WISH)
            assert pending == 0
            assert (await cloud.load_balancers.get("front")).instance_ids == (new.id,)
            assert aws.actions.count("RunInstances") == 1


async def test_an_instance_that_the_balancer_refuses_is_not_kept(moto: str, tmp_path: Path) -> None:
    async with through(moto) as passed:

        async def handle(asked: Asked) -> web.StreamResponse:
            if asked.form["Action"] == "RegisterTargets":
                return failing("ResourceInUse")
            return await passed(asked)

        async with clouds(handle, tmp_path) as (cloud, _):
            await cloud.load_balancers.create(FRONT)
            with pytest.raises(Conflict):
                await cloud.instances.create(WISH)
            assert not [i async for i in cloud.each(Instances.page)]


async def test_no_instance_is_made_for_a_balancer_that_is_not_there(
    moto: str, tmp_path: Path
) -> None:
    async with through(moto) as passed, clouds(passed, tmp_path) as (cloud, aws):
        with pytest.raises(NotFound):
            await cloud.instances.create(WISH)
        assert "RunInstances" not in aws.actions
