"""State machines of instances."""

import pytest

from nimbi.driver.states import StateMachine, Transition
from nimbi.model.instances import Instance
from nimbi.model.instances import InstanceState as State

STOP = Transition(State.RUNNING, State.STOPPED, "stop")
CRASH = Transition(State.RUNNING, State.STOPPED)
START = Transition(State.STOPPED, State.RUNNING, "start")
REBOOT = Transition(State.RUNNING, State.RUNNING, "reboot")
MACHINE = StateMachine((State.STOPPED, State.RUNNING), (REBOOT, STOP, START, CRASH))


def test_the_ways_out_of_a_state_keep_their_order():
    assert MACHINE.leaving(State.RUNNING) == (REBOOT, STOP, CRASH)
    assert MACHINE.leaving(State.PENDING) == ()


def test_what_happens_by_itself_is_no_operation():
    assert MACHINE.operations(State.RUNNING) == ("reboot", "stop")
    assert MACHINE.operations(State.STOPPED) == ("start",)


VERBS = ("stop", "rescue", "unrescue", "shelve", "unshelve", "destroy", "lock", "unlock")
WHOLE = StateMachine(
    (State.RUNNING,), tuple(Transition(State.RUNNING, State.RUNNING, verb) for verb in VERBS)
)


@pytest.mark.parametrize(
    ("marks", "left"),
    [
        ((), ("stop", "rescue", "shelve", "destroy", "lock")),
        (("locked",), ("unlock",)),
        (("rescued",), ("unrescue", "destroy", "lock")),
        (("shelved",), ("unshelve", "destroy", "lock")),
        (("rescued", "locked"), ("unlock",)),
        (("shelved", "locked"), ("unlock",)),
    ],
)
def test_less_can_be_done_with_what_is_locked_rescued_or_shelved(marks, left):
    instance = Instance(
        id="i",
        name=None,
        owner_id=None,
        image_id=None,
        realm_id=None,
        hardware_profile_id=None,
        state=State.RUNNING,
        **dict.fromkeys(marks, True),
    )
    assert WHOLE.operations_on(instance) == left
