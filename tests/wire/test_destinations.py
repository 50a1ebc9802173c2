"""Addresses that nobody else may have this program call."""

import pytest
from tests.wire.servers import echo, serving

from nimbi.wire.destinations import Reach, is_of_machine, is_within
from nimbi.wire.http import HttpClient, NotReached, Request


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


@pytest.mark.parametrize(
    ("address", "widest"),
    [
        ("93.184.216.34", Reach.PUBLIC),
        ("2606:2800:220:1::1", Reach.PUBLIC),
        ("64:ff9b::5db8:d822", Reach.PUBLIC),
        ("2002:5db8:d822::1", Reach.PUBLIC),
        ("127.0.0.1", Reach.PRIVATE),
        ("10.1.2.3", Reach.PRIVATE),
        ("172.16.0.1", Reach.PRIVATE),
        ("192.168.1.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("0.0.0.0", Reach.PRIVATE),
        ("224.0.0.1", Reach.PRIVATE),
        ("255.255.255.255", Reach.PRIVATE),
        ("::1", Reach.PRIVATE),
        ("::", Reach.PRIVATE),
        ("fc00::1", Reach.PRIVATE),
        ("fec0::1", Reach.PRIVATE),
        ("ff02::1", Reach.PRIVATE),
        ("::ffff:127.0.0.1", Reach.PRIVATE),
        ("::127.0.0.1", Reach.PRIVATE),
        ("64:ff9b::7f00:1", Reach.PRIVATE),
        ("2002:7f00:1::", Reach.PRIVATE),
        ("169.254.169.254", Reach.ANYWHERE),
        ("100.100.100.200", Reach.ANYWHERE),
        ("168.63.129.16", Reach.ANYWHERE),
        ("fe80::1%lo", Reach.ANYWHERE),
        ("fd00:ec2::254", Reach.ANYWHERE),
        ("::ffff:169.254.169.254", Reach.ANYWHERE),
        ("64:ff9b::a9fe:a9fe", Reach.ANYWHERE),
        ("2002:a9fe:a9fe::", Reach.ANYWHERE),
        ("no address", Reach.ANYWHERE),
    ],
)
def test_each_address_has_the_reach_that_it_takes(address: str, widest: Reach) -> None:
    order = (Reach.PUBLIC, Reach.PRIVATE, Reach.ANYWHERE)
    within = [is_within(address, reach) for reach in order]
    assert within == [order.index(widest) <= at for at in range(3)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_a_client_opens_no_connection_beyond_its_reach(http: HttpClient, host: str) -> None:
    async with serving(echo) as site:
        url = site.url.replace("127.0.0.1", host)
        near = http.reaching(Reach.PUBLIC)
        with pytest.raises(NotReached, match="may not be called"):
            await near.send(Request("GET", url))
        assert (await http.reaching(Reach.PRIVATE).send(Request("GET", url))).status == 200


async def test_a_connection_that_another_reach_opened_is_not_used_again(http: HttpClient) -> None:
    async with serving(echo) as site:
        assert (await http.send(Request("GET", site.url))).status == 200
        with pytest.raises(NotReached):
            await http.reaching(Reach.PUBLIC).send(Request("GET", site.url))
