import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.frontends.deltacloud.bodies import pairs
from nimbi.frontends.deltacloud.parameters import Parameters
from nimbi.frontends.deltacloud.reply import Problem
from nimbi.frontends.deltacloud.requests.compute import new_instance, user_files
from nimbi.frontends.deltacloud.requests.network import new_rule
from nimbi.frontends.deltacloud.route import numbered, optional, required
from nimbi.model.errors import Invalid
from nimbi.model.instances import UserFile


def one(value: str) -> Parameters:
    return Parameters({"x": value})


def test_an_empty_text_is_no_value() -> None:
    empty = one("")
    assert "x" in empty
    assert [empty.line("x"), empty.text("x"), empty.number("x"), empty.flag("x")] == [None] * 4
    assert empty.base64("x") is None
    assert empty.integer("x", 0, 9) is None
    with pytest.raises(Invalid, match="'x' is empty"):
        empty.needed("x")


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("1.0", 1), ("1740.8", 1740.8), ("0.5", 0.5)]
)
def test_a_number_is_whole_when_it_can_be(text: str, value: float) -> None:
    number = one(text).number("x")
    assert number == value
    assert isinstance(number, type(value))


@pytest.mark.parametrize("text", ["0", "-1", "x", "NaN", "Infinity", "1e3", "1e999", "1,5", "0x1"])
def test_what_is_no_number_above_zero_is_invalid(text: str) -> None:
    with pytest.raises(Invalid, match="'x' is a number"):
        one(text).number("x")


@pytest.mark.parametrize("text", ["1.0", "11", "-1", "x", "1e1", "\u0661", "0x1", "9" * 5000])
def test_what_is_no_whole_number_within_bounds_is_invalid(text: str) -> None:
    with pytest.raises(Invalid, match="'x' is a whole number from 0 to 10"):
        one(text).integer("x", 0, 10)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("x", True), ("False", False), ("0", False)]
)
def test_any_text_is_yes_but_those_that_say_no(text: str, value: bool) -> None:
    assert one(text).flag("x") is value


@given(st.binary(max_size=60))
def test_base64_is_read_as_it_was_written(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert (one(text).base64("x") or b"") == data
    # So it comes out of a query string in which nobody escaped the plus.
    assert (one(text.replace("+", " ")).base64("x") or b"") == data
    assert (one("\r\n".join(text)).base64("x") or b"") == data


@pytest.mark.parametrize("text", ["a", "abc", "a===", "!!!!", "\u2603", "ab=c"])
def test_what_is_not_base64_is_invalid(text: str) -> None:
    with pytest.raises(Invalid, match="'x' is not base64"):
        one(text).base64("x")


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "a\x7fb", "\t"])
def test_a_line_holds_no_control_characters(text: str) -> None:
    with pytest.raises(Invalid, match="'x' holds a control character"):
        one(text).line("x")


def test_a_text_may_have_several_lines() -> None:
    assert one("a\r\n\tb").text("x") == "a\r\n\tb"
    with pytest.raises(Invalid):
        one("a\x1bb").text("x")


async def test_numbered_parameters_come_in_their_order() -> None:
    given = {"image_id": "i", **{f"firewalls{n}": f"f{n}" for n in (10, 2, 1)}, "firewalls3": ""}
    assert (await new_instance(Parameters(given))).firewall_ids == ("f1", "f2", "f10")


async def test_user_files_name_their_path() -> None:
    given = Parameters({"user_files1": "/etc/motd=aGk=", "user_files2": "/empty="})
    assert await user_files(given) == (UserFile("/etc/motd", b"hi"), UserFile("/empty", b""))


RULE = {"protocol": "tcp", "port_from": "1", "port_to": "2", "ip_address1": "10.0.0.0/8"}


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "sctp"},
        {"protocol": ""},
        {"port_from": "x"},
        {"port_to": "65536"},
        {"port_from": "3"},
        {"ip_address1": "10.0.0.0/33"},
        {"ip_address1": "localhost"},
        {"ip_address1": ""},
    ],
)
def test_a_rule_that_makes_no_sense_is_invalid(change: dict[str, str]) -> None:
    assert new_rule(Parameters(RULE)).port_to == 2
    with pytest.raises(Invalid):
        new_rule(Parameters(RULE | change))


def test_icmp_counts_types_and_codes() -> None:
    rule = new_rule(Parameters(RULE | {"protocol": "ICMP", "port_from": "8", "port_to": "-1"}))
    assert (rule.port_from, rule.port_to) == (8, -1)


def test_of_equal_names_the_last_counts() -> None:
    assert pairs(b"a=1&a=2&b&c=%2B+x;y") == {"a": "2", "b": "", "c": "+ x;y"}


@pytest.mark.parametrize("encoded", [b"a=\xff", b"a=%ff", b"%c3=1", b"a=1&" * 1001])
def test_what_cannot_be_parameters_is_refused(encoded: bytes) -> None:
    with pytest.raises(Problem) as refused:
        pairs(encoded)
    assert refused.value.status == 400


def test_parameters_describe_themselves_as_in_the_original() -> None:
    assert required("a", "").signature() == "a:string:required"
    assert optional("a", "").signature() == "a:string:optional"
    assert numbered("a", "").signature() == "a:array:optional"
