"""Tests that this very OpenStack cannot pass, by class and name, with the reason.

A part in brackets names one of a test's cases.
"""

GAPS: dict[str, str] = {
    "TestVolumes::test_a_shared_volume_is_at_several_instances": (
        "Cinder's NFS driver, the only one that needs no kernel module, has no multiattach"
    ),
    "TestInstances::test_mapped_volumes_are_made_with_the_instance": (
        "libvirt names devices itself, and Nova's lists do not tell of them"
    ),
    "TestInstances::test_a_mapped_volume_goes_with_its_instance_unless_it_is_to_be_kept": (
        "libvirt names devices itself, and Nova's lists do not tell of them"
    ),
}


def gap(nodeid: str) -> str | None:
    """Return why a test cannot pass; None when it can."""
    name = nodeid.partition("::")[2]
    return GAPS.get(name) or GAPS.get(name.partition("[")[0])
