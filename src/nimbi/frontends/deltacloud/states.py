"""The state machine of a cloud's instances: as XML, JSON and dot source."""

from functools import cache
from typing import Any

from nimbi.driver.states import StateMachine, Transition
from nimbi.model.instances import InstanceState
from nimbi.wire.xml import escape

# What Deltacloud knows to be done with an instance in some state, and some not.
VERBS = frozenset({"create", "start", "stop", "reboot", "destroy"})

# Deltacloud knows no such state. What is paused does nothing, and goes on when it is started.
SHOWN_AS = {InstanceState.PAUSED: InstanceState.STOPPED}
NAMES = {state: SHOWN_AS.get(state, state).value.upper() for state in InstanceState}


@cache
def on_wire(machine: StateMachine) -> StateMachine:
    """Return the part of a cloud's state machine that clients of Deltacloud know."""
    return StateMachine(
        tuple(state for state in machine.states if state not in SHOWN_AS),
        tuple(
            t
            for t in machine.transitions
            if (t.by is None or t.by in VERBS) and not {t.state, t.to} & SHOWN_AS.keys()
        ),
    )


def operations_on_wire(machine: StateMachine, state: InstanceState) -> tuple[str, ...]:
    """Return what clients may expect to do with an instance that they see in this state."""
    return on_wire(machine).operations(SHOWN_AS.get(state, state))


def as_xml(machine: StateMachine) -> str:
    """Return the document; it has no declaration, as in the original."""
    states = "".join(
        f"  <state name='{state.value}'>\n"
        + "".join(f"    {_transition(t)}\n" for t in machine.leaving(state))
        + "  </state>\n"
        for state in machine.states
    )
    return f"<states>\n{states}</states>\n"


def as_json(machine: StateMachine) -> list[dict[str, Any]]:
    return [
        {
            "name": state.value,
            "transitions": [
                {"to": t.to.value, "auto": "true"}
                if t.by is None
                else {"to": t.to.value, "action": t.by}
                for t in machine.leaving(state)
            ],
        }
        for state in machine.states
    ]


def as_dot(machine: StateMachine) -> str:
    """Return the source of a picture in the language of Graphviz."""
    nodes = "".join(f'  "{state.value}";\n' for state in machine.states)
    edges = "".join(
        f'  "{t.state.value}" -> "{t.to.value}" [label="{t.by or ""}"'
        f"{' style=dashed' if t.by is None else ''}];\n"
        for t in machine.transitions
    )
    return f"digraph instance_states {{\n  rankdir=LR;\n  node [shape=box];\n{nodes}{edges}}}\n"


def _transition(transition: Transition) -> str:
    if transition.by is None:
        return f"<transition auto='true' to='{transition.to.value}'></transition>"
    return f"<transition action='{escape(transition.by)}' to='{transition.to.value}'></transition>"
