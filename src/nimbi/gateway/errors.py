"""The errors of drivers, turned into the errors that callers know."""

from typing import Any

from nimbi.driver.interface import Driver
from nimbi.model.errors import CloudError, Timeout


def to_cloud_error(driver: Driver[Any, Any], error: Exception) -> CloudError:
    """Return the error as a CloudError, by the driver's own table.

    What the table does not know becomes a plain CloudError that names the kind of error only: the
    text of a foreign error may hold a secret. The caller chains the original.
    """
    if isinstance(error, CloudError):
        return error
    try:
        known = driver.to_error(error)
    except Exception:  # noqa: BLE001  a table that breaks knows nothing; the first error counts
        known = None
    if known is not None:
        return known
    if isinstance(error, TimeoutError):
        return Timeout(f"{driver.name} gave no answer in time")
    if isinstance(error, ModuleNotFoundError):
        # A user installs only what their clouds need, each driver's needs under its own name.
        return CloudError(
            f"{driver.name} needs the Python package {error.name!r}, which is not installed: "
            f"pip install 'nimbi[{driver.name}]'"
        )
    return CloudError(f"{driver.name} failed with an unexpected {type(error).__name__}")
