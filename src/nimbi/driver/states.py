"""State machines of instances, as data."""

from dataclasses import dataclass

from nimbi.model.instances import InstanceState


@dataclass(frozen=True)
class Transition:
    """A way from one state to another: by an operation (`stop`), or by itself when `by` is None."""

    state: InstanceState
    to: InstanceState
    by: str | None = None


@dataclass(frozen=True)
class StateMachine:
    """The states of a cloud's instances and the ways between them, in the order to show them."""

    states: tuple[InstanceState, ...]
    transitions: tuple[Transition, ...]

    def leaving(self, state: InstanceState) -> tuple[Transition, ...]:
        """Return the transitions out of a state, in order."""
        return tuple(t for t in self.transitions if t.state is state)

    def operations(self, state: InstanceState) -> tuple[str, ...]:
        """Return what may be done with an instance in this state: `("reboot", "stop")`."""
        return tuple(t.by for t in self.leaving(state) if t.by is not None)
