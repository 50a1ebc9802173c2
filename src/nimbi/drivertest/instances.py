"""What holds for instances on every cloud."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec.structs import replace

from nimbi.driver.compute import HardwareProfiles, Images, Instances, Realms
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.consoles import ConformsToConsoles
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.instance_changes import ConformsToInstanceChanges
from nimbi.drivertest.instance_disks import ConformsToInstanceDisks
from nimbi.drivertest.instance_features import ConformsToInstanceFeatures
from nimbi.drivertest.instance_networks import ConformsToInstanceNetworks
from nimbi.drivertest.instance_states import ConformsToInstanceStates
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.reading import ConformsToActions
from nimbi.drivertest.resizing import ABSURD, ConformsToResizing, another, profiles_for
from nimbi.drivertest.samples import undeclared
from nimbi.drivertest.shapes import faults_in
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import Invalid, NotFound, Unsupported
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import Command, Instance, InstanceFilter, InstanceState, NewInstance
from nimbi.model.resource import Resource


class ConformsToInstances(
    ConformsToInstanceStates,
    ConformsToInstanceFeatures,
    ConformsToInstanceDisks,
    ConformsToInstanceNetworks,
    ConformsToInstanceChanges,
    ConformsToResizing,
    ConformsToConsoles,
    ConformsToActions,
    ConformsToNaming,
):
    """An author overrides `new_instance` by the cheapest launch."""

    interface: ClassVar[type[Collection]] = Instances
    kind: ClassVar[type[Resource]] = Instance
    actions: ClassVar[dict[str, tuple[Any, ...]]] = {
        "start": (),
        "stop": (),
        "reboot": (),
        "run": (Command(line="true"),),
        "console": (),
        "pause": (),
        "resume": (),
        "resize": (Sizes(),),
        "screenshot": (),
        "open_console": (ConsoleKind.SERIAL,),
        "console_link": (),
        "rebuild": ("no-such-image",),
        "rescue": (),
        "unrescue": (),
        "shelve": (),
        "unshelve": (),
        "lock": (),
        "unlock": (),
    }

    @pytest.fixture
    async def wish(self, new_instance: NewInstance) -> Wish:
        return lambda: new_instance

    @needs("create")
    async def test_an_instance_is_of_the_image_and_profile_that_were_asked(
        self, made: Made, new_instance: NewInstance
    ) -> None:
        new = await made.create(Instances, new_instance)
        assert new.image_id == new_instance.image_id
        assert new_instance.hardware_profile_id in {None, new.hardware_profile_id}
        assert new_instance.realm_id in {None, new.realm_id}

    @needs("create", Realms.page)
    async def test_an_instance_is_in_the_realm_that_was_asked(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        realms = [realm async for realm in cloud.each(Realms.page) if realm.limit != 0]
        asked = new_instance.realm_id or realms[-1].id
        new = await made.create(Instances, replace(new_instance, realm_id=asked))
        assert new.realm_id == asked

    @needs("create")
    @pytest.mark.parametrize("field", ["image_id", "realm_id", "hardware_profile_id"])
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_what_is_made_of_something_unknown_is_refused(
        self, made: Made, new_instance: NewInstance, field: str, id: str
    ) -> None:
        with pytest.raises((NotFound, Invalid)):
            await made.create(Instances, replace(new_instance, **{field: id}))

    @needs("create", HardwareProfiles.page)
    @pytest.mark.parametrize("size", list(ABSURD))
    async def test_a_size_that_no_profile_has_is_invalid(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, size: str
    ) -> None:
        for profile in await profiles_for(cloud, new_instance):
            asked = replace(
                new_instance,
                hardware_profile_id=profile.id,
                sizes=msgspec.convert({size: ABSURD[size]}, Sizes),
            )
            with pytest.raises(Invalid):
                await made.create(Instances, asked)

    @needs("create", HardwareProfiles.page)
    @pytest.mark.parametrize("size", ["cpus", "memory_mib", "storage_gib"])
    async def test_a_size_that_the_profile_offers_is_had(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, size: str
    ) -> None:
        for profile in await profiles_for(cloud, new_instance):
            value = another(profile, size)
            if value is None:
                continue
            asked = replace(
                new_instance,
                hardware_profile_id=profile.id,
                sizes=msgspec.convert({size: value}, Sizes),
            )
            new = await made.create(Instances, asked)
            assert getattr(new.sizes, size) == value
            return
        pytest.skip(f"{cloud.driver.name} has no profile with a choice of {size}")

    @needs("create_many", "page")
    async def test_many_of_one_wish_are_as_many_things(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        await made.watch(Instances)
        before = set(await self.listed(cloud, ()))
        new = await cloud.call(Instances.create_many, new_instance, 2)
        for instance in new:
            made.track(Instances, instance.id)
            assert not faults_in(instance, Instance)
        assert set(await self.listed(cloud, ())) - before == {i.id for i in new}
        assert len(new) == 2

    @needs("create_many", "page")
    async def test_the_same_token_for_many_makes_them_once(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        await made.watch(Instances)
        asked = replace(new_instance, token=str(uuid.uuid4()))
        first = await cloud.call(Instances.create_many, asked, 2)
        second = await cloud.call(Instances.create_many, asked, 2)
        for instance in (*first, *second):
            made.track(Instances, instance.id)
        assert {i.id for i in first} == {i.id for i in second}

    @needs("create_many", "page")
    async def test_of_many_that_cannot_be_made_none_is(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        before = await self.listed(cloud, ())
        with pytest.raises((NotFound, Invalid)):
            await cloud.call(
                Instances.create_many, replace(new_instance, image_id="no-such-image"), 2
            )
        assert await self.listed(cloud, ()) == before

    @needs("create_many")
    @pytest.mark.parametrize("count", [0, -1, 101])
    async def test_a_number_of_instances_outside_of_1_to_100_is_invalid(
        self, cloud: Cloud, new_instance: NewInstance, count: int
    ) -> None:
        with pytest.raises(Invalid):
            await cloud.call(Instances.create_many, new_instance, count)

    @needs("page", Realms.page)
    @needs_feature(Instances, "realm_filter")
    async def test_a_realm_shows_its_own_instances(
        self, cloud: Cloud, several: tuple[str, ...]
    ) -> None:
        whole = await self.things(cloud, ())
        async for realm in cloud.each(Realms.page):
            where = InstanceFilter(realm_id=realm.id)
            found = [i.id async for i in cloud.each(Instances.page, limit=1, where=where)]
            assert found == [i.id for i in whole if i.realm_id == realm.id]

    @needs("page")
    @needs_feature(Instances, "state_filter")
    async def test_a_state_shows_the_instances_in_it(
        self, cloud: Cloud, several: tuple[str, ...]
    ) -> None:
        whole = await self.things(cloud, ())
        for state in cloud.driver.instance_states.states:
            where = InstanceFilter(state=state)
            found = [i.id async for i in cloud.each(Instances.page, limit=1, where=where)]
            assert found == [i.id for i in whole if i.state is state]

    @needs("page", "create")
    @needs_feature(Instances, "tags", "tag_filter")
    async def test_tags_show_the_instances_that_have_all_of_them(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        mark = fresh_name()
        one = await made.create(Instances, replace(new_instance, tags={mark: "a", "nr": "1"}))
        other = await made.create(Instances, replace(new_instance, tags={mark: "a", "nr": "2"}))
        for tags, ids in (
            ({mark: "a"}, {one.id, other.id}),
            ({mark: "a", "nr": "2"}, {other.id}),
            ({mark: "b"}, set()),
        ):
            where = InstanceFilter(tags=tags)
            assert {i.id async for i in cloud.each(Instances.page, limit=1, where=where)} == ids

    @needs("page", "create")
    @needs_feature(Instances, "changed_since")
    async def test_what_changed_since_then_is_told_and_what_did_not_is_not(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        new = await made.create(Instances, new_instance)
        for hours, ids in ((-1, {new.id}), (1, set())):
            # An hour, since the cloud's clock may differ.
            where = InstanceFilter(changed_since=datetime.now(UTC) + timedelta(hours=hours))
            found = [i async for i in cloud.each(Instances.page, limit=1, where=where)]
            assert {i.id for i in found if i.state is not InstanceState.FINISH} >= ids
            assert ids or not found

    @needs("page", "create", "destroy")
    @needs_feature(Instances, "changed_since")
    async def test_what_is_gone_since_then_is_not_told_or_is_at_its_end(
        self, cloud: Cloud, made: Made, doomed_instance: Instance
    ) -> None:
        await made.destroy(Instances, doomed_instance.id)
        where = InstanceFilter(changed_since=datetime.now(UTC) - timedelta(hours=1))
        async for instance in cloud.each(Instances.page, where=where):
            assert (instance.id == doomed_instance.id) <= (instance.state is InstanceState.FINISH)

    @needs("page")
    async def test_a_filter_that_is_not_honoured_is_refused(self, cloud: Cloud) -> None:
        lacking = undeclared(InstanceFilter, cloud.features(Instances))
        if not lacking:
            pytest.skip(f"{cloud.driver.name} honours all filters of instances")
        for field, (_feature, value) in lacking.items():
            where = replace(InstanceFilter(), **{field: value})
            with pytest.raises(Unsupported):
                await cloud.call(Instances.page, None, 10, where)

    @needs("create", Images.page)
    async def test_the_password_of_an_instance_is_not_in_its_repr(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        secret = "s3cret-of-a-test"
        assert secret not in repr(replace(new_instance, password=secret))
