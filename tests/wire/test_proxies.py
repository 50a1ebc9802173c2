"""Which proxy a request goes through."""

import pytest

from nimbi.wire.proxies import proxies_from_environment


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")


@pytest.mark.parametrize("host", ["s3.example", "10.0.0.1", "203.0.113.1", "fd00::1"])
def test_a_request_goes_through_the_proxy_of_its_scheme(host: str) -> None:
    proxy_of = proxies_from_environment()
    proxy = proxy_of("http", host, 80)
    assert proxy is not None
    assert proxy.url == "http://proxy.invalid:3128"
    assert proxy_of("https", host, 443) is None


@pytest.mark.parametrize("host", ["169.254.169.254", "169.254.170.2", "fe80::1", "fd00:ec2::254"])
def test_the_machine_s_own_services_are_asked_directly(host: str) -> None:
    assert proxies_from_environment()("http", host, 80) is None
