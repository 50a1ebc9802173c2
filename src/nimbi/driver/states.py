"""State machines of instances, as data."""

from dataclasses import dataclass

from nimbi.model.instances import Instance, InstanceState

# What is left to do with an instance that is not as its state alone says, by the field that tells.
LEFT = {
    "locked": frozenset({"unlock"}),
    "rescued": frozenset({"unrescue", "destroy", "lock"}),
    "shelved": frozenset({"unshelve", "destroy", "lock"}),
}
ONLY_THEN = frozenset({"unlock", "unrescue", "unshelve"})


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

    def operations_on(self, instance: Instance) -> tuple[str, ...]:
        """Return what may be done with this very instance, in order."""
        for field, left in LEFT.items():
            if getattr(instance, field):
                return tuple(o for o in self.operations(instance.state) if o in left)
        return tuple(o for o in self.operations(instance.state) if o not in ONLY_THEN)
