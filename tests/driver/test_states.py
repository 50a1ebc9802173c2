"""State machines of instances."""

from nimbi.driver.states import StateMachine, Transition
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
