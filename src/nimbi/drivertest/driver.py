"""What holds for a driver as a whole."""

from nimbi.drivertest.driver_facts import ConformsToDriverFacts
from nimbi.drivertest.logins import ConformsToLogins


class ConformsToDriver(ConformsToDriverFacts, ConformsToLogins):
    """Facts that a driver tells of itself, and its logins."""
