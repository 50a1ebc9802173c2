"""Who may do what: scopes of tokens."""

import pytest

from nimbi.broker.access import ADMIN, Caller, check, check_scopes, covers, may, may_see
from nimbi.driver.capabilities import BY_ID
from nimbi.model.errors import Forbidden, Invalid
from nimbi.model.tokens import Scope


def caller(*scopes: Scope) -> Caller:
    return Caller(id="t", name="test", scopes=scopes)


@pytest.mark.parametrize(
    ("operations", "operation", "is_allowed"),
    [
        ("*", "instances.destroy", True),
        ("*", "tokens.create", True),
        ("instances.*", "instances.start", True),
        ("instances.*", "images.page", False),
        ("instances.start", "instances.start", True),
        ("instances.start", "instances.stop", False),
        ("read", "instances.page", True),
        ("read", "blobs.read", True),
        ("read", "accounts.get", True),
        ("read", "instances.start", False),
        ("read", "accounts.create", False),
        ("read", "instances.console_link", False),
        ("read", "blobs.link", False),
        ("read", "nothing.page", False),
    ],
)
def test_a_scope_holds_the_operations_that_it_names(
    operations: str, operation: str, is_allowed: bool
) -> None:
    assert may(caller(Scope(operations)), operation, "aws") is is_allowed


def test_reading_holds_no_operation_that_changes_something() -> None:
    reader = caller(Scope("read"))
    assert not [id for id, op in BY_ID.items() if not op.is_safe and may(reader, id, "a")]


def test_a_scope_for_one_account_holds_for_no_other_and_not_for_all() -> None:
    one = caller(Scope("*", "aws"))
    assert may(one, "instances.page", "aws")
    assert not may(one, "instances.page", "aws2")
    assert not may(one, "tokens.page", None)
    assert may_see(one, "aws")
    assert not may_see(one, "other")
    with pytest.raises(Forbidden, match=r"test may not do instances\.page on the account 'other'"):
        check(one, "instances.page", "other")


@pytest.mark.parametrize(
    ("own", "asked", "is_covered"),
    [
        (Scope(), Scope(), True),
        (Scope(), Scope("read", "aws"), True),
        (Scope("read"), Scope(), False),
        (Scope("read"), Scope("instances.page", "aws"), True),
        (Scope("read"), Scope("instances.*"), False),
        (Scope("instances.*"), Scope("instances.start"), True),
        (Scope("instances.start"), Scope("instances.*"), False),
        (Scope("*", "aws"), Scope("*", "*"), False),
        (Scope("*", "aws"), Scope("read", "aws"), True),
    ],
)
def test_only_what_one_holds_can_be_handed_on(own: Scope, asked: Scope, is_covered: bool) -> None:
    assert covers(caller(own), asked) is is_covered
    assert covers(ADMIN, asked)


@pytest.mark.parametrize(
    "scope",
    [
        Scope(""),
        Scope("instances"),
        Scope("instances.fly"),
        Scope("planets.*"),
        Scope("*.start"),
        Scope("*", "Not A Name"),
        Scope("*", ""),
    ],
)
def test_a_scope_that_stands_for_nothing_is_refused(scope: Scope) -> None:
    with pytest.raises(Invalid):
        check_scopes((scope,))


def test_a_token_has_some_scopes_and_not_too_many() -> None:
    check_scopes((Scope("read"), Scope("webhooks.create"), Scope("blobs.*", "a.b-c")))
    for scopes in ((), (Scope(),) * 51):
        with pytest.raises(Invalid):
            check_scopes(scopes)
