"""What tests with guests share: a guest that stays, and the cheapest launch."""

import pytest
from tests.targets.openstack.projects import Project

from nimbi.drivertest.moves import rested
from nimbi.gateway.cloud import Cloud
from nimbi.model.instances import Instance, NewInstance


class Launching:
    """Launches on the smallest machine, in the project's network."""

    patience_s = 240.0
    # Guests that boot at the same time slow each other down.
    crowd = 2

    @pytest.fixture
    async def new_instance(self, image_id: str, profile_id: str, project: Project) -> NewInstance:
        return NewInstance(
            image_id=image_id, hardware_profile_id=profile_id, network_ids=(project.network_id,)
        )

    @pytest.fixture
    async def instance(self, cloud: Cloud, guest_id: str) -> Instance:
        """One guest for all tests, running or stopped as the last one left it: a boot is dear."""
        return await rested(cloud, guest_id, self.patience_s)
