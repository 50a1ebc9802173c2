import pytest
from tests.frontends.deltacloud.conftest import Client, Serve
from tests.frontends.deltacloud.drivers import PLAIN

from nimbi.drivers.mock import DRIVER

BOTH = {"mock": DRIVER, "plain": PLAIN}


@pytest.mark.parametrize(
    ("path", "headers", "driver", "provider"),
    [
        ("/api", {}, "mock", None),
        ("/api", {"X-Deltacloud-Driver": "plain"}, "plain", None),
        ("/api", {"X-Deltacloud-Driver": "PLAIN"}, "plain", None),
        ("/api", {"X-Deltacloud-Provider": "Mixed-Case"}, "mock", "Mixed-Case"),
        ("/api;driver=plain", {}, "plain", None),
        ("/api;driver=Plain", {}, "plain", None),
        ("/api;provider=test1", {}, "mock", "test1"),
        ("/api;provider=p;driver=plain", {}, "plain", "p"),
        ("/api;driver=plain;provider=p", {}, "plain", "p"),
        ("/api;driver=mock", {"X-Deltacloud-Driver": "plain"}, "mock", None),
        ("/api;provider=https%3A%2F%2Fh%3A5000%2Fv3", {}, "mock", "https://h:5000/v3"),
        ("/api;other=x", {}, "mock", None),
    ],
)
async def test_headers_and_matrix_parameters_choose(
    serve: Serve, path: str, headers: dict[str, str], driver: str, provider: str | None
) -> None:
    async with serve(BOTH) as api:
        answer = await api("GET", path, "application/json", headers=headers)
        assert answer.headers["x-deltacloud-driver"] == driver
        assert answer.headers.get("x-deltacloud-provider") == provider
        told = answer.json()["api"]
        assert (told["driver"], told["provider"]) == (driver, provider or "default")
        in_xml = await api.xml("GET", path, headers=headers)
        assert (in_xml.get("driver"), in_xml.get("provider")) == (driver, provider)


async def test_a_choice_holds_for_one_request_only(serve: Serve) -> None:
    async with serve(BOTH) as api:
        chosen = await api.json("GET", "/api;driver=plain")
        assert chosen["api"]["driver"] == "plain"
        assert (await api.json("GET", "/api"))["api"]["driver"] == "mock"


async def test_the_defaults_are_those_of_the_server(serve: Serve) -> None:
    async with serve(BOTH, default="plain", default_provider="eu") as api:
        assert (await api.xml("GET", "/api")).get("provider") == "eu"
        # Another driver has no use for the provider of the default one.
        assert (await api.xml("GET", "/api;driver=mock")).get("provider") is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
async def test_matrix_parameters_choose_with_every_verb(serve: Serve, method: str) -> None:
    async with serve(BOTH) as api:
        answer = await api(method, "/api;driver=plain/keys", "application/xml")
        assert answer.headers["x-deltacloud-driver"] == "plain"
        # The other driver has keys.
        assert answer.status_code == (405 if method == "DELETE" else 412)


async def test_links_do_not_carry_the_choice(serve: Serve) -> None:
    async with serve(BOTH) as api:
        text = (await api("GET", "/api;driver=plain/instances", "application/xml")).text
        assert "driver=" not in text
        assert "http://h:3001/api/instances/inst1" in text


async def test_pages_carry_the_choice_on(serve: Serve) -> None:
    async with serve(BOTH) as api:
        text = (await api("GET", "/api;driver=plain/instances", "text/html")).text
        assert "/api;driver=plain/instances" in text


async def test_matrix_parameters_of_a_collection_stand_in_for_parameters(api: Client) -> None:
    made = await api("POST", "/api/instances;image_id=img1", "application/xml")
    assert made.status_code == 201
    image = await api("POST", "/api/images;instance_id=inst1?name=i", "application/xml")
    assert image.status_code == 201
    both = await api.xml("POST", "/api/instances;image_id=img1?image_id=img2")
    assert both.find("image").get("id") == "img2"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["nope", "..%2Fmock", "mock ", "os", "%0d%0aX: y", "a" * 300])
async def test_an_unknown_driver_is_a_bad_request(api: Client, name: str) -> None:
    answer = await api("GET", f"/api;driver={name}x", "application/json")
    assert answer.status_code == 400
    assert "x-deltacloud-driver" in answer.headers
    assert answer.json()["error"] == "Deltacloud::Exceptions::ValidationFailure"


async def test_an_unknown_driver_is_named_in_the_document(api: Client) -> None:
    answer = await api(
        "GET", "/api/realms", "application/xml", headers={"X-Deltacloud-Driver": "no"}
    )
    assert answer.status_code == 400
    root = await api.xml("GET", "/api;driver=no/realms")
    assert root.find("backend").get("driver") == "no"  # type: ignore[union-attr]
    assert "Driver 'no' is not available" in (root.findtext("message") or "")


async def test_a_driver_that_is_asked_for_by_its_page_is_listed(serve: Serve) -> None:
    async with serve(BOTH) as api:
        listed = await api.xml("GET", "/api/drivers")
        assert [d.get("id") for d in listed] == ["mock", "plain"]
        assert listed.xpath("driver[@id='plain']/provider/@id") == ["eu", "us"]
        shown = await api.xml("GET", "/api/drivers/plain")
        assert [
            (p.get("id"), e.get("kind"), e.text) for p in shown.findall("provider") for e in p
        ] == [
            ("eu", "s3", "s3.example"),
            ("eu", "ec2", "ec2.example"),
            ("us", "s3", "s3-us.example"),
        ]
        told = await api.json("GET", "/api/drivers")
        assert told["plain"]["entrypoints"]["ec2"] == {"eu": "ec2.example"}
        missing = await api("GET", "/api/drivers/none", "application/xml")
        assert (missing.status_code, missing.content) == (404, b"")
