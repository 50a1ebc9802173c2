"""The cloud Shelf as a driver of Nimbi."""

from nimbi.driver.interface import Driver
from nimbi.driver.states import StateMachine
from nimbi_shelf.cloud import Shelf
from nimbi_shelf.realms import ShelfRealms
from nimbi_shelf.session import Session, Settings, open_session, start, to_error
from nimbi_shelf.volumes import ShelfVolumes

DRIVER: Driver[Shelf, Session] = Driver(
    name="shelf",
    title="Shelf",
    settings=Settings,
    start=start,
    open=open_session,
    collections=(ShelfRealms, ShelfVolumes),
    to_error=to_error,
    # Shelf runs no instances, so they have no states.
    instance_states=StateMachine(states=(), transitions=()),
)
