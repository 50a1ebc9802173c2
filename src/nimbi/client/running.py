"""Runs flows: by a transport of a blocking caller, or by one in a loop."""

import time
from typing import TypeVar

from nimbi.client.flow import Flow, Pause, Received, Step
from nimbi.client.transport import AsyncTransport, Transport
from nimbi.model.errors import CloudError

T = TypeVar("T")


def run(flow: Flow[T], transport: Transport) -> T:
    """Return what a flow returns, and raise what it raises."""
    outcome: Received | None = None
    fault: CloudError | None = None
    while True:
        try:
            step = flow.send(outcome) if fault is None else flow.throw(fault)
        except StopIteration as end:
            answer: T = end.value
            return answer
        outcome = fault = None
        try:
            outcome = _do(step, transport)
        except CloudError as error:
            fault = error


def _do(step: Step, transport: Transport) -> Received | None:
    if isinstance(step, Pause):
        time.sleep(step.seconds)
        return None
    answer = transport.send(step.request)
    if step.open and answer.status < 300:
        return Received(answer.status, answer.headers, open=answer)
    try:
        return Received(answer.status, answer.headers, answer.read())
    finally:
        answer.close()


async def arun(flow: Flow[T], transport: AsyncTransport) -> T:
    """Return what a flow returns, and raise what it raises."""
    outcome: Received | None = None
    fault: CloudError | None = None
    while True:
        try:
            step = flow.send(outcome) if fault is None else flow.throw(fault)
        except StopIteration as end:
            answer: T = end.value
            return answer
        outcome = fault = None
        try:
            outcome = await _ado(step, transport)
        except CloudError as error:
            fault = error


async def _ado(step: Step, transport: AsyncTransport) -> Received | None:
    if isinstance(step, Pause):
        # Blocking callers start without it.
        import asyncio

        await asyncio.sleep(step.seconds)
        return None
    answer = await transport.send(step.request)
    if step.open and answer.status < 300:
        return Received(answer.status, answer.headers, open=answer)
    try:
        return Received(answer.status, answer.headers, await answer.read())
    finally:
        await answer.aclose()
