"""The state machine as a picture and as its source; XML and JSON are among the golden pairs."""

import io

import pytest
from PIL import Image
from tests.frontends.deltacloud.conftest import Client

from nimbi.driver.states import StateMachine, Transition
from nimbi.drivers.mock import DRIVER
from nimbi.frontends.deltacloud.states import as_dot, on_wire
from nimbi.frontends.deltacloud.states_picture import as_png
from nimbi.model.instances import InstanceState as State

BUSY = StateMachine(
    (State.START, State.PENDING, State.RUNNING, State.STOPPING, State.STOPPED, State.ERROR),
    (
        Transition(State.START, State.PENDING, "create"),
        Transition(State.PENDING, State.RUNNING),
        Transition(State.RUNNING, State.RUNNING, "reboot"),
        Transition(State.RUNNING, State.STOPPING, "stop"),
        Transition(State.STOPPING, State.STOPPED),
        Transition(State.STOPPED, State.RUNNING, "start"),
        Transition(State.PENDING, State.ERROR),
        Transition(State.RUNNING, State.ERROR),
        Transition(State.ERROR, State.RUNNING, "reboot"),
        Transition(State.ERROR, State.RUNNING, "start"),
    ),
)


@pytest.mark.parametrize("accept", ["image/png", "image/*"])
async def test_the_picture_is_a_png(stranger: Client, accept: str) -> None:
    answer = await stranger("GET", "/api/instance_states", accept)
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.format == "PNG"
    again = await stranger("GET", "/api/instance_states?format=png", "application/xml")
    assert again.content == answer.content


async def test_the_source_of_the_picture_is_in_the_language_of_graphviz(stranger: Client) -> None:
    answer = await stranger("GET", "/api/instance_states?format=gv")
    assert answer.headers["content-type"] == "application/ghostscript"
    assert '"running" -> "stopped" [label="stop"];' in answer.text
    assert answer.text == as_dot(on_wire(DRIVER.instance_states))


async def test_only_states_are_drawn(api: Client) -> None:
    assert (await api("GET", "/api/realms?format=png")).status_code == 406


@pytest.mark.parametrize("machine", [DRIVER.instance_states, BUSY, StateMachine((), ())])
def test_any_machine_can_be_drawn(machine: StateMachine) -> None:
    with Image.open(io.BytesIO(as_png(machine))) as image:
        assert image.width > 0
        colours = image.convert("RGB").getcolors(1 << 16) or []
        # Something stands on the paper when there are states.
        assert (len(colours) > 1) == bool(machine.states)


def test_another_machine_is_another_picture() -> None:
    assert as_png(BUSY) != as_png(DRIVER.instance_states)
