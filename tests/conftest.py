"""What holds for all tests."""

import asyncio


def pytest_configure() -> None:
    """Say that there is no event loop yet.

    looptime asks for the present one before each test; before the first asynchronous test Python
    would make one up for it that nobody closes, and a later test fails for that.
    """
    asyncio.set_event_loop(None)
