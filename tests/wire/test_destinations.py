"""Addresses that nobody else may have this program call."""

import pytest

from nimbi.wire.destinations import is_of_machine


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://169.254.169.254/latest", True),
        ("http://[fe80::1]:80/", True),
        ("http://[fd00:ec2::254]/", True),
        ("http://[::ffff:169.254.169.254]/", True),
        ("http://127.0.0.1:5000/v3", False),
        ("http://10.0.0.1", False),
        ("http://metadata.example", False),
    ],
)
def test_addresses_of_the_link_are_known(url: str, told: bool) -> None:
    assert is_of_machine(url) is told
