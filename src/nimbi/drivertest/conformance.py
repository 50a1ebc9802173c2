"""What the test classes of all collections share: skips, things made and taken down again."""

import uuid
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from nimbi.driver.blobs import Buckets
from nimbi.driver.compute import HardwareProfiles, Images, Instances
from nimbi.driver.network import Networks, Subnets
from nimbi.driver.operation import Collection
from nimbi.driver.storage import Volumes
from nimbi.drivertest.moves import rested
from nimbi.drivertest.needs import lacking, needs_of, require
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Bucket, NewBucket
from nimbi.model.images import ImageState
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.networks import Network, NewNetwork, NewSubnet, Subnet
from nimbi.model.volumes import NewVolume, Volume, VolumeState


class Conformance:
    """Fixtures for every test class. An author gives `cloud`, and overrides what is dear.

    `cloud` is a function-scoped fixture that gives a logged-in Cloud which nobody else uses.
    """

    interface: ClassVar[type[Collection]]
    # How long a thing may take to reach a state, and to vanish.
    patience_s: ClassVar[float] = 300.0
    # Blocks of the networks that tests make; the subnet's is within the network's.
    network_block: ClassVar[str] = "10.77.0.0/16"
    subnet_block: ClassVar[str] = "10.77.1.0/24"

    @pytest.fixture(autouse=True)
    def _skips(self, request: pytest.FixtureRequest, cloud: Cloud) -> None:
        own = getattr(self, "interface", None)
        for need in needs_of(request.function):
            if reason := lacking(cloud, need, own):
                pytest.skip(reason)

    @pytest.fixture
    async def made(self, cloud: Cloud) -> AsyncIterator[Made]:
        """What makes things, and takes them down after the test."""
        made = Made(cloud, self.patience_s)
        try:
            yield made
        finally:
            await made.clear()

    @pytest.fixture
    async def new_instance(self, cloud: Cloud) -> NewInstance:
        """The cheapest launch: the first image, on the profile that the cloud takes by itself."""
        require(cloud, Instances.create, Images.page)
        async for image in cloud.each(Images.page):
            if image.state is ImageState.AVAILABLE:
                profiles = image.hardware_profile_ids
                default = cloud.supports(HardwareProfiles.page) and profiles is not None
                return NewInstance(
                    image_id=image.id,
                    hardware_profile_id=profiles[0] if default and profiles else None,
                )
        pytest.skip(f"{cloud.driver.name} has no available image")

    @pytest.fixture
    async def instance(self, cloud: Cloud, made: Made, new_instance: NewInstance) -> Instance:
        """An instance at rest. Tests attach to it, stop it and start it; none destroys it."""
        new = await made.create(Instances, new_instance)
        return await rested(cloud, new.id, self.patience_s)

    @pytest.fixture
    async def other_instance(self, cloud: Cloud, made: Made, new_instance: NewInstance) -> Instance:
        """One more instance, just as `instance`; the same test uses both."""
        new = await made.create(Instances, new_instance)
        return await rested(cloud, new.id, self.patience_s)

    @pytest.fixture
    async def doomed_instance(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> Instance:
        """An instance at rest that the test destroys."""
        new = await made.create(Instances, new_instance)
        return await rested(cloud, new.id, self.patience_s)

    @pytest.fixture
    async def new_volume(self, cloud: Cloud, instance_realm: str | None) -> NewVolume:
        """The smallest volume, where instances are."""
        require(cloud, Volumes.create)
        return NewVolume(size_gib=1, realm_id=instance_realm)

    @pytest.fixture
    async def instance_realm(self) -> str | None:
        """The realm in which instances are made; None is the cloud's own choice."""
        return None

    @pytest.fixture
    async def volume(self, cloud: Cloud, made: Made, new_volume: NewVolume) -> Volume:
        """A volume that is attached nowhere."""
        volume: Volume = await made.create(Volumes, new_volume)
        return await cloud.wait(
            Volumes.get,
            volume.id,
            until={VolumeState.AVAILABLE},
            failing={VolumeState.ERROR},
            timeout_s=self.patience_s,
        )

    @pytest.fixture
    async def network(self, cloud: Cloud, made: Made) -> Network:
        """A network without subnets."""
        require(cloud, Networks.create)
        wish = NewNetwork(name=fresh_name(), address_block=self.network_block)
        network: Network = await made.create(Networks, wish)
        return network

    @pytest.fixture
    async def subnet(self, cloud: Cloud, made: Made, network: Network) -> Subnet:
        """A subnet of `network`."""
        require(cloud, Subnets.create)
        wish = NewSubnet(network_id=network.id, address_block=self.subnet_block, name=fresh_name())
        subnet: Subnet = await made.create(Subnets, wish)
        return subnet

    @pytest.fixture
    async def bucket(self, cloud: Cloud, made: Made) -> Bucket:
        """An empty bucket."""
        require(cloud, Buckets.create)
        bucket: Bucket = await made.create(Buckets, NewBucket(name=fresh_name()))
        return bucket


def fresh_name() -> str:
    """Return a name that nothing has: lower case letters, digits and dashes, 22 characters."""
    return f"nimbi-{uuid.uuid4().hex[:16]}"
