"""What is used and what it costs, as people ask for it."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.cli.conftest import Nimbi

from nimbi.cli.errors import STATUSES
from nimbi.cli.price_lists import is_weaker

OFFERS = Path(__file__).parents[1] / "broker/metering/sample_offers.csv"


def told(nimbi: Nimbi, *words: str) -> object:
    done = nimbi(*words, "-o", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_prices_are_set_imported_and_ended(nimbi: Nimbi, tmp_path: Path) -> None:
    done = nimbi("prices", "set", "instances.running", "0.10", "EUR", "-a", "mock")
    assert done.exit_code == 0, done.output
    assert "new prices: 1" in done.output
    file = tmp_path / "prices.csv"
    file.write_text("meter,amount,currency,unit\nvolumes,0.08,EUR,month\n")
    assert "new prices: 1" in nimbi("prices", "import", str(file)).output
    assert "known already: 1" in nimbi("prices", "import", str(file)).output
    (one,) = told(nimbi, "prices", "list", "--meter", "volumes")  # type: ignore[misc]
    assert nimbi("prices", "end", one["id"]).exit_code == 0


def test_the_file_that_ec2_publishes_is_imported_for_one_account(nimbi: Nimbi) -> None:
    words = ("prices", "import", "--ec2", str(OFFERS), "--region", "us-east-1")
    done = nimbi(*words, "-a", "mock")
    assert "new prices: 4" in done.output
    (one,) = (
        price
        for price in told(nimbi, "prices", "list", "-a", "mock")  # type: ignore[attr-defined]
        if price["kind"] == "gp3"
    )
    assert one["published_at"] == "2026-02-27T18:22:41Z"
    assert (one["source"], one["origin"]) == ("ec2", "sample_offers.csv")


@pytest.fixture
def published() -> Iterator[str]:
    """Give where the offers are published, by a server of our own."""
    serve = partial(QuietHandler, directory=str(OFFERS.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{OFFERS.name}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_told: object) -> None:
        """Keep the tests' output plain."""


def test_the_list_that_ec2_publishes_is_fetched_for_the_region_of_an_account(
    nimbi: Nimbi, published: str
) -> None:
    add = ("accounts", "add", "aws", "--driver", "ec2", "--provider", "us-east-1", "--no-test")
    login = '{"user": "nobody", "password": "nothing"}'
    done = nimbi(*add, "--credentials", "-", input=login)
    assert done.exit_code == 0, done.output
    try:
        done = nimbi("prices", "fetch", "-a", "aws", "--url", published)
        assert "new prices: 4" in done.output
        assert (
            "known already: 4" in nimbi("prices", "fetch", "-a", "aws", "--url", published).output
        )
        ours = [p for p in told(nimbi, "prices", "list", "-a", "aws") if p["account"] == "aws"]  # type: ignore[attr-defined]
        assert {(price["source"], price["origin"]) for price in ours} == {("ec2", published)}
        # Where nothing is, where nothing answers, where nothing may be.
        for place, code in (
            (f"{published}.old", "not_found"),
            ("http://127.0.0.1:9/index.csv", "cloud_unavailable"),
            ("file:///etc/passwd", "invalid"),
            ("https://ann:secret@prices.example/index.csv", "invalid"),
        ):
            done = nimbi("prices", "fetch", "-a", "aws", "--url", place)
            assert done.exit_code == STATUSES[code], done.output
        other = nimbi("prices", "fetch", "-a", "aws", "--url", published, "--region", "eu-west-9")
        assert other.exit_code == STATUSES["invalid"]
    finally:
        assert nimbi("accounts", "rm", "aws", "--force", "--yes").exit_code == 0


def test_no_redirect_leads_from_an_encrypted_place_to_one_that_is_not() -> None:
    assert is_weaker("https://prices.example/a", "http://prices.example/a")
    assert not is_weaker("https://prices.example/a", "https://other.example/b")
    assert not is_weaker("http://prices.example/a", "https://prices.example/a")


def test_a_cloud_that_publishes_no_prices_says_so(nimbi: Nimbi) -> None:
    done = nimbi("prices", "fetch", "-a", "mock")
    assert done.exit_code == STATUSES["unsupported"]
    assert "nimbi prices set" in done.output


def test_a_table_that_is_wrong_is_told_with_its_line(nimbi: Nimbi, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("meter,amount,currency\nvolumes,much,EUR\n")
    done = nimbi("prices", "import", str(file))
    assert done.exit_code == STATUSES["invalid"]
    assert "line 2" in done.output


def test_usage_is_told_as_a_table_for_programs_and_as_a_drawing(
    nimbi: Nimbi, tmp_path: Path
) -> None:
    assert nimbi("usage").exit_code == 0
    report = told(nimbi, "usage", "--by", "account,meter")
    assert report["by"] == ["account", "meter"]  # type: ignore[index]
    assert nimbi("usage", "-o", "csv").stdout.startswith("tenant,meter,quantity,unit,amount")
    chart = tmp_path / "chart.svg"
    assert nimbi("usage", "--chart", str(chart)).exit_code == 0
    assert chart.read_text().startswith("<svg")
    assert isinstance(told(nimbi, "usage", "--intervals"), list)


@pytest.mark.parametrize("words", [("--by", "colour"), ("--month", "2030-13"), ("--zone", "Moon")])
def test_what_cannot_be_told_is_refused(nimbi: Nimbi, words: tuple[str, ...]) -> None:
    assert nimbi("usage", *words).exit_code == STATUSES["invalid"]


def test_a_budget_is_set_changed_and_removed(nimbi: Nimbi) -> None:
    made = told(nimbi, "budgets", "create", "500", "EUR", "--warn-at", "80")
    id = made["id"]  # type: ignore[index]
    changed = told(nimbi, "budgets", "change", id, "--stop")
    assert changed["stops_launches"] is True  # type: ignore[index]
    assert "0 %" in nimbi("budgets", "list").output
    assert nimbi("budgets", "rm", id).exit_code == 0


def test_bills_of_a_month_that_is_over_are_made_and_one_to_come_is_not(nimbi: Nimbi) -> None:
    assert nimbi("bill", "make", "2026-01", "--zone", "Europe/Berlin").exit_code in {
        0,
        STATUSES["conflict"],
    }
    assert nimbi("bill", "make", "2199-01").exit_code == STATUSES["conflict"]
    assert nimbi("bill", "list").exit_code == 0
    assert nimbi("bill", "show", "bill_none").exit_code == STATUSES["not_found"]
