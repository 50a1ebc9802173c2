"""Which store a provider names, and which it may not."""

import pytest

from nimbi.drivers.s3.places import Place, check_allowed, place_of
from nimbi.model.errors import Forbidden, Invalid

URL = "https://store.example:9000"


@pytest.mark.parametrize(
    ("provider", "place"),
    [
        (None, Place()),
        ("", Place()),
        ("eu-central-1", Place(region="eu-central-1")),
        ("store.example:9000", Place(URL)),
        (f"{URL}/", Place(URL)),
        ("http://10.0.0.1:8080", Place("http://10.0.0.1:8080")),
        (f"endpoint={URL};region=here;addressing=path", Place(URL, "here", "path")),
        (f"{URL}; addressing=virtual", Place(URL, None, "virtual")),
    ],
)
def test_a_provider_names_a_store(provider: str | None, place: Place) -> None:
    assert place_of(provider) == place


@pytest.mark.parametrize(
    "provider",
    [
        "ftp://store.example",
        "https://",
        "https://user:secret@store.example",
        "https://store.example/?a=b",
        "https://store.example:99999",
        "region=a b",
        "region=a;region=b",
        "colour=blue",
        "addressing=odd",
        "https://sto re.example",
    ],
)
def test_what_names_no_store_is_invalid(provider: str) -> None:
    with pytest.raises(Invalid) as refused:
        place_of(provider)
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "http://[fe80::1]:80",
        "http://[fd00:ec2::254]",
        "http://[::ffff:169.254.169.254]",
    ],
)
def test_a_machine_s_own_secrets_are_no_store(url: str) -> None:
    with pytest.raises(Forbidden):
        check_allowed(url, None)


def test_only_named_endpoints_are_allowed_once_some_are_named() -> None:
    check_allowed(URL, ("store.example:9000",))
    with pytest.raises(Forbidden):
        check_allowed("https://other.example", ("store.example:9000",))
    with pytest.raises(Forbidden):
        check_allowed(URL, ())
