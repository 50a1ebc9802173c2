"""Instances: launching, moving between states, and what goes with them."""

import pytest

from nimbi.drivers.mock.addresses import MockAddresses
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.firewalls import MockFirewalls
from nimbi.drivers.mock.images import MockImages
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.launch import launched
from nimbi.drivers.mock.load_balancers import MockLoadBalancers
from nimbi.drivers.mock.network_interfaces import MockNetworkInterfaces
from nimbi.drivers.mock.session import Session
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.firewalls import NewFirewall
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.images import ImageFilter, NewImage
from nimbi.model.instances import (
    Command,
    InstanceFilter,
    InstanceState,
    Login,
    NewAttachment,
    NewInstance,
    UserFile,
)
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer
from nimbi.model.volumes import VolumeTarget


async def test_a_new_instance_runs_under_the_lowest_free_number(session: Session) -> None:
    instances = MockInstances(session)
    made = await instances.create(NewInstance(image_id="img1"))
    assert (made.id, made.state, made.owner_id) == ("inst4", InstanceState.RUNNING, "mockuser")
    assert (made.realm_id, made.hardware_profile_id) == ("us", "m1-small")
    assert made.public_addresses[0].address == "img1.inst4.public.com"
    assert made.name is not None
    assert made.name.startswith("i-")
    await instances.stop("inst1")
    await instances.destroy("inst1")
    assert (await instances.create(NewInstance(image_id="img1"))).id == "inst1"


async def test_what_was_asked_is_what_is_made(session: Session) -> None:
    wish = NewInstance(
        image_id="img3",
        realm_id="eu",
        hardware_profile_id="m1-large",
        sizes=Sizes(cpus=2, memory_mib=10240),
        name="web",
        key_id="test-key",
        password="secret",
        metrics=True,
    )
    made = await MockInstances(session).create(wish)
    assert (made.name, made.realm_id, made.hardware_profile_id) == ("web", "eu", "m1-large")
    assert made.sizes == Sizes(cpus=2)
    assert made.login == Login(key_id="test-key", user="root", password="secret")
    assert made.extra["measured_in_detail"] is True


async def test_firewalls_and_a_load_balancer_take_the_new_instance(session: Session) -> None:
    firewall = await MockFirewalls(session).create(NewFirewall(name="web", description="Web"))
    listeners = (Listener(ListenerProtocol.HTTP, 80, 8080),)
    balancers = MockLoadBalancers(session)
    await balancers.create(NewLoadBalancer(name="front", realm_id="us", listeners=listeners))
    wish = NewInstance(image_id="img1", firewall_ids=(firewall.id,), load_balancer_id="front")
    made = await MockInstances(session).create(wish)
    assert made.firewall_ids == ("web",)
    assert (await balancers.get("front")).instance_ids == (made.id,)


async def test_a_snapshot_comes_as_a_volume_at_the_device_asked(session: Session) -> None:
    wish = NewInstance(image_id="img1", snapshot_id="snap1", device="/dev/sdf")
    made = await MockInstances(session).create(wish)
    [attachment] = made.volumes
    volume = await MockVolumes(session).get(attachment.volume_id)
    assert (volume.instance_id, volume.device) == (made.id, "/dev/sdf")


async def test_the_console_shows_user_data_and_files(session: Session) -> None:
    instances = MockInstances(session)
    wish = NewInstance(
        image_id="img1", user_data=b"#!/bin/sh\nhello", user_files=(UserFile("/etc/motd", b"hi"),)
    )
    made = await instances.create(wish)
    text = await instances.console(made.id)
    assert b"#!/bin/sh\nhello" in text
    assert b"/etc/motd: 2 bytes" in text


async def test_the_console_ends_with_the_last_64_kib(session: Session) -> None:
    instances = MockInstances(session)
    made = await instances.create(NewInstance(image_id="img1", user_data=b"x" * 100_000))
    text = await instances.console(made.id)
    assert len(text) == 64 * 1024
    assert text.endswith(b"login: ")


@pytest.mark.parametrize(
    "wish",
    [
        NewInstance(image_id="img9"),
        NewInstance(image_id="img1", realm_id="mars"),
        NewInstance(image_id="img1", hardware_profile_id="huge"),
        NewInstance(image_id="img1", key_id="none"),
        NewInstance(image_id="img1", firewall_ids=("none",)),
        NewInstance(image_id="img1", load_balancer_id="none"),
        NewInstance(image_id="img1", snapshot_id="none"),
        NewInstance(image_id="img1", device="/dev/sdf"),
        NewInstance(image_id="img1", sizes=Sizes(cpus=2)),
        NewInstance(image_id="img1", hardware_profile_id="m1-large", sizes=Sizes(cpus=7)),
        NewInstance(image_id="img1", hardware_profile_id="opaque", sizes=Sizes(cpus=1)),
        NewInstance(image_id="img1", name="a\x00b"),
        NewInstance(image_id="img1", name="x" * 256),
        NewInstance(image_id="img1", user_files=(UserFile("etc/motd", b""),)),
        NewInstance(image_id="img1", user_data=bytes(4 * 2**20 + 1)),
    ],
)
async def test_a_wish_that_names_what_is_not_there_is_invalid(
    session: Session, wish: NewInstance
) -> None:
    instances = MockInstances(session)
    with pytest.raises(Invalid):
        await instances.create(wish)
    assert len((await instances.page(None, 100)).items) == 4


async def test_many_are_made_or_none(session: Session) -> None:
    instances = MockInstances(session)
    made = await instances.create_many(NewInstance(image_id="img1"), 3)
    assert [instance.id for instance in made] == ["inst4", "inst5", "inst6"]
    for count in (0, 101):
        with pytest.raises(Invalid):
            await instances.create_many(NewInstance(image_id="img1"), count)


async def test_a_change_that_fails_changes_nothing(session: Session, cloud: MockCloud) -> None:
    before = cloud.world.state
    with pytest.raises(Conflict), session.change() as state:
        launched(state, NewInstance(image_id="img1", snapshot_id="snap1"), "mockuser")
        assert len(state.instances) == 5
        raise Conflict("something else is in the way")
    assert cloud.world.state is before


async def test_states_follow_the_state_machine(session: Session) -> None:
    instances = MockInstances(session)
    for verb in (instances.start, instances.destroy):
        with pytest.raises(Conflict):
            await verb("inst0")
    await instances.reboot("inst0")
    assert (await instances.get("inst0")).state is InstanceState.RUNNING
    await instances.stop("inst0")
    assert (await instances.get("inst0")).state is InstanceState.STOPPED
    for verb in (instances.stop, instances.reboot):
        with pytest.raises(Conflict):
            await verb("inst0")
    await instances.start("inst0")
    started = await instances.get("inst0")
    assert (started.state, started.launched_at is None) == (InstanceState.RUNNING, False)
    await instances.stop("inst0")
    await instances.destroy("inst0")
    with pytest.raises(NotFound):
        await instances.get("inst0")


async def test_operations_on_an_unknown_instance_are_not_found(session: Session) -> None:
    instances = MockInstances(session)
    for verb in (
        instances.get,
        instances.start,
        instances.stop,
        instances.reboot,
        instances.destroy,
        instances.console,
    ):
        with pytest.raises(NotFound):
            await verb("../etc/passwd")
    with pytest.raises(NotFound):
        await instances.run("none", Command(line="ls"))


async def test_what_a_destroyed_instance_held_is_free_again(session: Session) -> None:
    instances, addresses = MockInstances(session), MockAddresses(session)
    balancers = MockLoadBalancers(session)
    listeners = (Listener(ListenerProtocol.TCP, 80, 80),)
    await balancers.create(NewLoadBalancer(name="lb", realm_id=None, listeners=listeners))
    await balancers.register("lb", "inst1")
    await addresses.associate("192.168.0.1", "inst1")
    await instances.stop("inst1")
    await instances.destroy("inst1")
    volume = await MockVolumes(session).get("vol3")
    assert (volume.state, volume.instance_id, volume.device) == ("available", None, None)
    assert (await addresses.get("192.168.0.1")).instance_id is None
    assert (await balancers.get("lb")).instance_ids == ()
    assert [n.id for n in (await MockNetworkInterfaces(session).page(None, 9)).items] == [
        "nicinst3"
    ]


async def test_instances_are_listed_by_realm(session: Session) -> None:
    instances = MockInstances(session)
    page = await instances.page(None, 100, InstanceFilter(realm_id="eu"))
    assert [instance.id for instance in page.items] == ["inst3"]
    assert (await instances.page(None, 100, InstanceFilter(realm_id="mars"))).items == ()


async def test_a_command_is_answered_honestly(session: Session) -> None:
    instances = MockInstances(session)
    result = await instances.run("inst0", Command(line="uname -a"))
    assert result.address == "img1.inst0.public.com"
    assert "nothing was run: uname -a" in result.output
    await instances.stop("inst0")
    with pytest.raises(Conflict):
        await instances.run("inst0", Command(line="ls"))


async def test_an_image_is_made_of_an_instance(session: Session) -> None:
    images = MockImages(session)
    made = await images.create(NewImage(instance_id="inst0", name="mine", description="My own"))
    assert (made.id, made.name, made.description) == ("mine", "mine", "My own")
    assert (made.owner_id, made.architecture) == ("mockuser", "x86_64")
    again = await images.create(NewImage(instance_id="inst0", name="mine"))
    assert again.id != made.id
    unnamed = await images.create(NewImage(instance_id="inst0"))
    assert unnamed.name == unnamed.id
    await images.destroy("mine")
    with pytest.raises(NotFound):
        await images.destroy("mine")


async def test_an_image_needs_an_instance_that_can_be_imaged(session: Session) -> None:
    images = MockImages(session)
    with pytest.raises(Conflict):
        await images.create(NewImage(instance_id="inst3"))
    with pytest.raises(NotFound):
        await images.create(NewImage(instance_id="none"))


async def test_images_are_listed_by_owner(session: Session) -> None:
    images = MockImages(session)
    for owner, ids in (("fedoraproject", ["img1", "img2"]), ("self", ["img3"]), ("x", [])):
        page = await images.page(None, 100, ImageFilter(owner_id=owner))
        assert [image.id for image in page.items] == ids


async def test_mapped_volumes_come_and_go_with_their_instance(session: Session) -> None:
    instances, volumes = MockInstances(session), MockVolumes(session)
    mappings = (
        NewAttachment(device="/dev/sdb", size_gib=3, kind="flash", iops=9, encrypted=True),
        NewAttachment(device="/dev/sdc", snapshot_id="snap1", keep=True),
    )
    made = await instances.create(NewInstance(image_id="img1", volumes=mappings))
    ids = {attachment.device: attachment.volume_id for attachment in made.volumes}
    assert set(ids) == {"/dev/sdb", "/dev/sdc"}
    one = await volumes.get(ids["/dev/sdb"])
    assert (one.size_gib, one.kind, one.iops, one.encrypted) == (3, "flash", 9, True)
    await instances.stop(made.id)
    await instances.destroy(made.id)
    assert (await volumes.get(ids["/dev/sdc"])).instance_id is None
    with pytest.raises(NotFound):
        await volumes.get(ids["/dev/sdb"])


async def test_a_mapped_volume_that_was_detached_stays(session: Session) -> None:
    instances, volumes = MockInstances(session), MockVolumes(session)
    mappings = (NewAttachment(device="/dev/sdb", size_gib=1),)
    made = await instances.create(NewInstance(image_id="img1", volumes=mappings))
    id = made.volumes[0].volume_id
    await volumes.detach(id)
    await volumes.attach(id, VolumeTarget(instance_id=made.id))
    await instances.stop(made.id)
    await instances.destroy(made.id)
    assert (await volumes.get(id)).instance_id is None


@pytest.mark.parametrize(
    "wish",
    [
        NewInstance(image_id="img1", volumes=(NewAttachment(device="/dev/b", kind="tape"),)),
        NewInstance(image_id="img1", volumes=(NewAttachment(device="/dev/b", size_gib=0),)),
        NewInstance(image_id="img1", volumes=(NewAttachment(device="/dev/b", snapshot_id="x"),)),
        NewInstance(image_id="img1", volumes=(NewAttachment(device=""),)),
        NewInstance(image_id="img1", tags={"": "x"}),
        NewInstance(image_id="img1", tags={"x": "\x00"}),
        NewInstance(image_id="img1", tags={str(n): "" for n in range(51)}),
    ],
)
async def test_volumes_and_tags_that_make_no_sense_leave_nothing(
    session: Session, wish: NewInstance
) -> None:
    before = session.state
    with pytest.raises(Invalid):
        await MockInstances(session).create(wish)
    assert session.state is before


async def test_an_image_of_a_snapshot_tells_what_it_is_made_for(session: Session) -> None:
    images = MockImages(session)
    made = await images.create(NewImage(snapshot_id="snap1", architecture="arm64", name="a"))
    assert (made.architecture, made.owner_id) == ("arm64", "mockuser")
    copied = await images.create(NewImage(source_image_id=made.id, name="b"))
    assert (copied.architecture, copied.id == made.id) == ("arm64", False)
    for wish in (NewImage(snapshot_id="none"), NewImage(source_image_id="none")):
        with pytest.raises(NotFound):
            await images.create(wish)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("img*", ["img1", "img2", "img3"]),
        ("*?", ["img1", "img2", "img3"]),
        ("i?g3", ["img3"]),
        ("img[12]", []),
        ("img", []),
        ("*" * 500, ["img1", "img2", "img3"]),
        ("*g" * 500, []),
    ],
)
async def test_stars_and_question_marks_are_all_that_is_special_in_a_name(
    session: Session, name: str, ids: list[str]
) -> None:
    found = await MockImages(session).page(None, 10, ImageFilter(name=name))
    assert [image.id for image in found.items] == ids
