"""The state machine of a cloud's instances: as XML, JSON and dot source."""

from typing import Any

from nimbi.driver.states import StateMachine, Transition
from nimbi.wire.xml import escape


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
