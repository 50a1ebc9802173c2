"""What `make demo-openstack` shows is so."""

import pytest
from tests.targets.openstack import demo
from tests.targets.openstack.projects import new_project


@pytest.mark.guest
def test_the_program_runs_unchanged_and_leaves_nothing(target: str) -> None:
    with new_project("demo", outside=True) as project:
        told = demo.run(project)
    assert all(line in told for line in demo.EXPECTED), told
