"""What a launch may ask for besides image and size: honoured in full, or refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Instances, Keys, Metrics
from nimbi.driver.network import Firewalls, LoadBalancers, Subnets
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.drivertest.conformance import Conformance, fresh_name
from nimbi.drivertest.moves import comes_true, rested
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.samples import VALUES
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid, NotFound, Unsupported
from nimbi.model.firewalls import NewFirewall
from nimbi.model.instances import Instance, NewAttachment, NewInstance, UserFile
from nimbi.model.keys import NewKey
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer
from nimbi.model.networks import Subnet
from nimbi.model.snapshots import NewSnapshot, SnapshotState
from nimbi.model.volumes import Volume

# Fields that hold what a guest sees only: the shared tests can see that they are taken.
TAKEN = ["user_data", "user_files", "metrics", "config_drive", "scheduler_hints"]

# Features whose value is the id of something, by field.
POINTERS = {
    "key_id": "authentication_key",
    "firewall_ids": "firewalls",
    "load_balancer_id": "register_to_load_balancer",
    "snapshot_id": "attach_snapshot",
    "network_ids": "networks",
    "network_interface_ids": "network_interfaces",
    "boot_volume_id": "boot_from_volume",
}


# Fields that contradict a launch from an image, each with a value.
CONTRADICTING: dict[str, Any] = {
    "spot_max_price": "1.00",
    "boot_volume_id": "no-such-volume",
    "image_id": None,
}


class ConformsToInstanceFeatures(Conformance):
    def launched(self, cloud: Cloud, made: Made) -> Callable[[NewInstance], Awaitable[Instance]]:
        """Return what launches an instance and waits until it is at rest."""

        async def launch(wish: NewInstance) -> Instance:
            new = await made.create(Instances, wish)
            return await rested(cloud, new.id, self.patience_s)

        return launch

    @needs("create", "get", Keys.create)
    @needs_feature(Instances, "authentication_key")
    async def test_the_asked_key_opens_the_login(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        key = await made.create(Keys, NewKey(name=fresh_name()))
        new = await made.create(Instances, replace(new_instance, key_id=key.id))
        found = await cloud.call(Instances.get, new.id)
        assert found.login is not None
        assert found.login.key_id == key.id

    @needs("create", "get")
    @needs_feature(Instances, "authentication_password")
    async def test_a_launch_with_a_password_tells_the_user_to_log_in_as(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        new = await made.create(Instances, replace(new_instance, password="Nimbi-test-1"))
        found = await cloud.call(Instances.get, new.id)
        assert found.login is not None
        assert found.login.user
        assert "Nimbi-test-1" not in repr(found)

    @needs("create", "get", Firewalls.create)
    @needs_feature(Instances, "firewalls")
    async def test_the_asked_firewalls_are_in_front(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        walls = [
            await made.create(Firewalls, NewFirewall(name=fresh_name(), description="a test"))
            for _ in range(2)
        ]
        asked = tuple(wall.id for wall in walls)
        new = await made.create(Instances, replace(new_instance, firewall_ids=asked))
        assert set((await cloud.call(Instances.get, new.id)).firewall_ids) == set(asked)

    @needs("create", "get", LoadBalancers.create, LoadBalancers.get)
    @needs_feature(Instances, "register_to_load_balancer")
    async def test_the_asked_balancer_has_the_instance(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        listeners = (Listener(ListenerProtocol.TCP, 8080, 80),)
        wish = NewLoadBalancer(
            name=fresh_name(), realm_id=new_instance.realm_id, listeners=listeners
        )
        balancer = await made.create(LoadBalancers, wish)
        new = await made.create(Instances, replace(new_instance, load_balancer_id=balancer.id))

        async def is_registered() -> bool:
            return new.id in (await cloud.call(LoadBalancers.get, balancer.id)).instance_ids

        await comes_true(is_registered, "it is not registered", self.patience_s)

    @needs("create", "get", Snapshots.create, Snapshots.get, Volumes.get)
    @needs_feature(Instances, "attach_snapshot")
    async def test_the_asked_snapshot_is_attached(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, volume: Volume
    ) -> None:
        snapshot = await made.create(Snapshots, NewSnapshot(volume_id=volume.id))
        await cloud.wait(
            Snapshots.get,
            snapshot.id,
            until={SnapshotState.COMPLETED},
            failing={SnapshotState.ERROR},
            timeout_s=self.patience_s,
        )
        asked = replace(new_instance, snapshot_id=snapshot.id, device="/dev/sdx")
        found = await self.launched(cloud, made)(asked)
        for attachment in found.volumes:
            made.track(Volumes, attachment.volume_id)
        assert [attachment.device for attachment in found.volumes] == ["/dev/sdx"]
        attached = await cloud.call(Volumes.get, found.volumes[0].volume_id)
        assert attached.instance_id == found.id
        assert attached.size_gib >= volume.size_gib

    @needs("create", "get", Metrics.get)
    @needs_feature(Instances, "metrics")
    async def test_an_instance_that_is_to_be_measured_has_metrics(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        found = await self.launched(cloud, made)(replace(new_instance, metrics=True))
        assert (await cloud.call(Metrics.get, found.id)).series

    @needs("create", "get")
    @needs_feature(Instances, "tags")
    async def test_tags_are_kept(self, cloud: Cloud, made: Made, new_instance: NewInstance) -> None:
        tags = {"role": "web", "ünïcödé": "☃ <&>", "empty": ""}
        new = await made.create(Instances, replace(new_instance, tags=tags))
        found = await cloud.call(Instances.get, new.id)
        assert tags.items() <= found.tags.items()

    @needs("create", "get", Subnets.create)
    @needs_feature(Instances, "subnet")
    async def test_an_instance_is_in_the_subnet_that_was_asked(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, subnet: Subnet
    ) -> None:
        wish = replace(new_instance, subnet_id=subnet.id, network_ids=())
        found = await self.launched(cloud, made)(wish)
        assert found.subnet_id == subnet.id

    @needs("create")
    @needs_feature(Instances, "spot")
    async def test_an_instance_on_spare_capacity_says_so(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        new = await made.create(Instances, replace(new_instance, spot=True))
        assert (await cloud.call(Instances.get, new.id)).spot

    @needs("create", "page")
    async def test_a_wish_that_contradicts_itself_is_refused(
        self, cloud: Cloud, new_instance: NewInstance
    ) -> None:
        twice = (NewAttachment(device="/dev/sdx"), NewAttachment(device="/dev/sdx"))
        with pytest.raises((Invalid, Unsupported)):
            await cloud.call(Instances.create, replace(new_instance, volumes=twice))
        for field, value in CONTRADICTING.items():
            with pytest.raises((Invalid, Unsupported)):
                await cloud.call(Instances.create, replace(new_instance, **{field: value}))

    @needs("create")
    @pytest.mark.parametrize("field", TAKEN)
    async def test_what_only_the_guest_sees_is_taken_when_it_is_declared(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, field: str
    ) -> None:
        if field not in cloud.features(Instances):
            pytest.skip(f"{cloud.driver.name} does not honour instances.{field}")
        new = await made.create(Instances, replace(new_instance, **{field: VALUES[field]}))
        assert new.id

    @needs("create")
    @needs_feature(Instances, "user_files")
    @pytest.mark.parametrize("path", ["", "relative", "/nul\x00", "/" + "x" * 10_000])
    async def test_a_path_that_no_file_can_have_is_invalid(
        self, made: Made, new_instance: NewInstance, path: str
    ) -> None:
        with pytest.raises(Invalid):
            files = (UserFile(path, b"x"),)
            await made.create(Instances, replace(new_instance, user_files=files))

    @needs("create")
    @needs_feature(Instances, "user_data")
    async def test_user_data_of_any_bytes_are_taken_or_refused(
        self, made: Made, new_instance: NewInstance
    ) -> None:
        try:
            new = await made.create(Instances, replace(new_instance, user_data=bytes(range(256))))
        except Invalid:
            return
        assert new.id

    @needs("create")
    @pytest.mark.parametrize("field", list(POINTERS))
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_a_feature_that_names_something_unknown_is_refused(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, field: str, id: str
    ) -> None:
        if POINTERS[field] not in cloud.features(Instances):
            pytest.skip(f"{cloud.driver.name} does not honour instances.{POINTERS[field]}")
        value: Any = (id,) if field.endswith("_ids") else id
        image_id = None if field == "boot_volume_id" else new_instance.image_id
        with pytest.raises((NotFound, Invalid)):
            await made.create(Instances, replace(new_instance, image_id=image_id, **{field: value}))
