"""The tree of errors."""

import pytest

from nimbi.model import errors
from nimbi.model.errors import ERRORS, CloudError, Throttled, Unsupported


def test_every_error_is_listed_once():
    here = {
        kind for kind in CloudError.__subclasses__() if kind.__module__ == CloudError.__module__
    }
    assert set(ERRORS) == here
    assert len(ERRORS) == len(set(ERRORS))


def test_every_error_has_a_code_of_its_own():
    codes = [error.code for error in (CloudError, *ERRORS)]
    assert len(codes) == len(set(codes))


def test_the_tree_names_every_error_and_says_what_it_means():
    lines = (errors.__doc__ or "").splitlines()
    tree = {
        words[0]: " ".join(words[1:])
        for line in lines
        if (words := line.lstrip("├└─ ").split()) and words[0].isalpha() and len(words) > 3
        if line.startswith(("├", "└", "CloudError"))
    }
    assert set(tree) == {error.__name__ for error in (CloudError, *ERRORS)}
    assert all(tree.values())


@pytest.mark.parametrize("error", [CloudError, *ERRORS])
def test_an_error_keeps_its_message(error: type[CloudError]):
    assert error("what went wrong").message == str(error("what went wrong")) == "what went wrong"


def test_what_else_an_error_knows_is_optional():
    assert Throttled("t").retry_after_s is None
    assert Throttled("t", 2.5).retry_after_s == 2.5
    assert Unsupported("u").capability is None
    assert Unsupported("u", "instances.start").capability == "instances.start"
