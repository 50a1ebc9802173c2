import pytest
from tests.frontends.deltacloud.html.documents import (
    BASE,
    INSTANCE,
    MEMBERS,
    STATES,
    button_labels,
    is_ours,
    parsed,
    targets,
    words,
)

from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.html.form_table import FORMS
from nimbi.frontends.deltacloud.html.view import (
    CollectionDoc,
    FormField,
    OperationDoc,
    PageView,
    ParameterDoc,
)

LINKS = [
    {"rel": "instances", "href": f"{BASE}/api/instances", "features": [[{"name": "user_name"}]]},
    {"rel": "drivers", "href": f"{BASE}/api/drivers", "features": []},
]
DRIVERS = {"mock": {"name": "Mock", "entrypoints": {"api": {"eu-west-1": "x"}}}, "local": {}}
CREATE = OperationDoc(
    name="create",
    method="POST",
    path="/api/keys",
    capability="create_key",
    parameters=[ParameterDoc(name="name", required=True, text="Its name.")],
)
KEYS = CollectionDoc(name="keys", operations=[CREATE])


def every_page(view: PageView) -> dict[str, str]:
    made = {
        "entry": pages.entry_page(view, LINKS, DRIVERS, {}, {}),
        "states": pages.states_page(view, STATES),
        "error": pages.error_page(view, 404, {"code": 404, "message": "no instance x"}),
        "index": pages.index_page(view, {"Deltacloud": f"{BASE}/api"}),
        "docs": pages.docs_index_page(view, [KEYS]),
        "docs of keys": pages.docs_collection_page(view, KEYS),
        "docs of create": pages.docs_operation_page(view, "keys", CREATE),
        "message": pages.message_page(view, "instances", "Ran", "On inst0.", "total 0\n"),
    }
    for name, found in MEMBERS.items():
        made[f"{name} table"] = pages.collection_page(view, name, [found])
        made[f"{name} empty"] = pages.collection_page(view, name, [])
        made[f"{name} member"] = pages.member_page(view, name, found)
    for collection, operation in FORMS:
        form = FORMS[collection, operation]
        fields = pages.form_fields(view, collection, operation)
        made[f"{collection} {operation}"] = pages.form_page(
            view, collection, operation, form.title, f"{BASE}/api/{collection}", fields
        )
    return made


def test_every_page_is_a_whole_document_that_names_itself(view: PageView) -> None:
    for name, page in every_page(view).items():
        root = parsed(page)
        assert root.get("lang") == "en", name
        assert root.findtext("head/title"), name
        assert root.xpath("//meta[@name='viewport']"), name
        assert len(root.xpath("//h1")) == 1, name
        assert len(root.xpath("//main")) == 1, name


def test_headings_do_not_skip_a_level(view: PageView) -> None:
    for name, page in every_page(view).items():
        levels = [int(h.tag[1]) for h in parsed(page).xpath("//h1|//h2|//h3|//h4")]
        steps = [b - a for a, b in zip([0, *levels], levels, strict=False)]
        assert max(steps) <= 1, name


def test_no_page_links_elsewhere_or_holds_a_script(view: PageView) -> None:
    for name, page in every_page(view).items():
        root = parsed(page)
        assert [t for t in targets(root) if not is_ours(t)] == [], name
        assert not root.xpath("//script | //style | //@style | //@*[starts-with(name(), 'on')]")


def test_no_page_has_an_id_twice(view: PageView) -> None:
    for name, page in every_page(view).items():
        ids = parsed(page).xpath("//@id")
        assert len(ids) == len(set(ids)), name


def test_every_field_has_a_label_and_every_reference_an_element(view: PageView) -> None:
    for name, page in every_page(view).items():
        root = parsed(page)
        ids = set(root.xpath("//@id"))
        labelled = set(root.xpath("//label/@for"))
        fields = root.xpath("//select | //textarea | //input[not(@type='hidden')]")
        assert [f.get("name") for f in fields if f.get("id") not in labelled] == [], name
        asked = root.xpath("//@aria-describedby | //@aria-labelledby | //@list | //label/@for")
        assert set(asked) <= ids, name


def test_links_and_forms_carry_the_selection_on(view: PageView) -> None:
    for name, page in every_page(view).items():
        lost = [t for t in targets(parsed(page)) if t == "/api" or t.startswith("/api/")]
        assert lost == [], name


def test_a_table_links_each_member_and_what_it_refers_to(view: PageView) -> None:
    root = parsed(pages.collection_page(view, "instances", [INSTANCE]))
    assert root.xpath("//th[@scope='row']/a/@href") == ["/api;driver=mock/instances/inst0"]
    assert root.xpath("//td/a[text()='img1']/@href") == ["/api;driver=mock/images/img1"]


def test_a_state_is_told_in_words_and_coloured(view: PageView) -> None:
    root = parsed(pages.collection_page(view, "instances", [INSTANCE]))
    assert root.xpath("//span[@class='state good']/text()") == ["RUNNING"]


def test_an_instance_offers_what_its_state_and_the_driver_allow(view: PageView) -> None:
    root = parsed(pages.member_page(view, "instances", INSTANCE))
    assert button_labels(root) == [
        "Reboot inst0",
        "Stop inst0",
        "Run command inst0",
        "Make image inst0",
        "Destroy… inst0",
        "Yes, destroy it",
    ]


def test_a_stopped_instance_takes_no_commands(view: PageView) -> None:
    stopped = INSTANCE | {"state": "STOPPED", "actions": [], "create_image": False}
    assert button_labels(parsed(pages.member_page(view, "instances", stopped))) == []


def test_what_the_driver_cannot_do_has_no_button(bare: PageView) -> None:
    for name, found in MEMBERS.items():
        for page in (
            pages.collection_page(bare, name, [found]),
            pages.collection_page(bare, name, []),
            pages.member_page(bare, name, found),
        ):
            assert button_labels(parsed(page)) == [], name
            assert not parsed(page).xpath("//form"), name


def test_a_collection_that_the_driver_lacks_is_not_in_the_menu() -> None:
    few = PageView(base_url=BASE, path="/api", driver="d", operations=frozenset({"images.page"}))
    root = parsed(pages.entry_page(few, [], {}, {}, {}))
    assert root.xpath("//nav[@aria-label='Collections']//a/text()") == ["Images", "Drivers"]


def test_destroying_is_asked_twice_and_sent_as_a_delete(view: PageView) -> None:
    root = parsed(pages.member_page(view, "images", MEMBERS["images"]))
    (form,) = root.xpath("//details//form")
    assert form.get("method") == "post"
    assert form.get("action") == "/api;driver=mock/images/img1"
    assert form.xpath("input[@name='_method']/@value") == ["delete"]


def test_a_new_address_needs_no_form(view: PageView) -> None:
    root = parsed(pages.collection_page(view, "addresses", []))
    assert root.xpath("//main//form[button='New address']/@action") == [
        "/api;driver=mock/addresses"
    ]


@pytest.mark.parametrize("collection", sorted(MEMBERS))
def test_an_empty_collection_says_what_to_do(view: PageView, collection: str) -> None:
    root = parsed(pages.collection_page(view, collection, []))
    assert "here." in words(root.xpath("//div[@class='empty']")[0])


def test_a_bucket_lists_its_blobs_and_takes_a_file(view: PageView) -> None:
    root = parsed(pages.member_page(view, "buckets", MEMBERS["buckets"]))
    assert root.xpath("//td/a/@href") == ["/api;driver=mock/buckets/bucket1/blob1"]
    (form,) = root.xpath("//form[@enctype='multipart/form-data']")
    assert form.get("action") == "/api;driver=mock/buckets/bucket1"
    names = form.xpath(".//@name")
    # Streaming starts when the file begins: what the server must know stands before it.
    assert names[-1] == "blob_data"
    assert names[0] == "blob_id"


def test_the_content_of_a_blob_is_a_download_and_not_on_the_page(view: PageView) -> None:
    page = pages.member_page(view, "blobs", MEMBERS["blobs"])
    assert "not to be shown" not in page
    root = parsed(page)
    assert "/api;driver=mock/buckets/bucket1/blob1/content" in targets(root)
    assert "2.0 KiB (2048 bytes)" in words(root)
    assert "author" in words(root)


def test_a_firewall_shows_its_rules_and_takes_another(view: PageView) -> None:
    root = parsed(pages.member_page(view, "firewalls", MEMBERS["firewalls"]))
    assert "tcp 22 10.0.0.0/8" in words(root)
    actions = root.xpath("//form/@action")
    assert "/api;driver=mock/firewalls/fw1/r1" in actions
    assert "/api;driver=mock/firewalls/fw1/rules" in actions


def test_a_load_balancer_lets_instances_come_and_go(view: PageView) -> None:
    root = parsed(pages.member_page(view, "load_balancers", MEMBERS["load_balancers"]))
    actions = root.xpath("//form/@action")
    assert "/api;driver=mock/load_balancers/lb1/unregister?instance_id=inst0" in actions
    assert "/api;driver=mock/load_balancers/lb1/register" in actions
    assert "HTTP 80 → 8080" in words(root)


def test_metrics_are_pictures_with_the_same_in_words_and_numbers(view: PageView) -> None:
    root = parsed(pages.member_page(view, "metrics", MEMBERS["metrics"]))
    (picture,) = root.xpath("//svg")
    assert (
        picture.get("aria-label") == "CPU utilization: From 0.5 to 0.7 percent, last 0.7 percent."
    )
    assert root.xpath("//figure//td/text()")[:3] == ["2013-11-20 22:53:48 UTC", "0.2", "0.9"]
    assert "No samples yet." in words(root)


def test_a_private_key_is_shown_only_when_asked_for(view: PageView) -> None:
    root = parsed(pages.member_page(view, "keys", MEMBERS["keys"]))
    assert root.xpath("//details[not(@open)]/pre/text()") == ["-----BEGIN\nX\n-----END"]


def test_the_entry_page_lets_driver_and_provider_be_chosen(view: PageView) -> None:
    root = parsed(pages.entry_page(view, LINKS, DRIVERS, {}, {}))
    assert root.xpath("//select[@name='driver']/option/@value") == ["mock", "local"]
    assert root.xpath("//select[@name='driver']/option[@selected]/@value") == ["mock"]
    assert root.xpath("//select[@name='provider']/option/@value") == ["default", "eu-west-1"]
    assert {(f.get("method"), f.get("action")) for f in root.xpath("//form")} == {
        ("post", "/api;driver=mock")
    }


def test_states_come_as_a_picture_with_a_text_and_as_a_table(view: PageView) -> None:
    root = parsed(pages.states_page(view, STATES))
    (picture,) = root.xpath("//img")
    assert picture.get("src") == "/api;driver=mock/instance_states?format=png"
    assert picture.get("alt")
    assert "pending running by itself" in words(root)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 418, 500, 502, 504])
def test_an_error_says_what_happened_what_to_do_and_its_request(
    view: PageView, status: int
) -> None:
    root = parsed(pages.error_page(view, status, {"code": status, "message": "it was blue"}))
    text = words(root)
    assert str(status) in text
    assert "it was blue" in text
    assert "What to do" in text
    assert "req-1" in text


def test_the_same_page_is_a_click_away_as_xml_and_json(view: PageView) -> None:
    root = parsed(pages.collection_page(view, "instances", []))
    assert root.xpath("//footer//a/@href")[:2] == [
        "/api;driver=mock/instances?realm_id=us&format=xml",
        "/api;driver=mock/instances?realm_id=us&format=json",
    ]


def test_a_form_with_another_method_is_sent_by_override(view: PageView) -> None:
    page = pages.form_page(view, "keys", "x", "X", "/api/keys", [], method="PUT", multipart=True)
    (form,) = parsed(page).xpath("//form")
    assert form.get("method") == "post"
    assert form.get("enctype") == "multipart/form-data"
    assert form.xpath("input[@name='_method']/@value") == ["put"]


def test_a_required_field_says_so_to_people_and_to_the_browser(view: PageView) -> None:
    fields = [FormField(name="a", label="Alpha", required=True, help="Say it.")]
    root = parsed(pages.form_page(view, "keys", "x", "X", "/api/keys", fields))
    (field,) = root.xpath("//input[@name='a']")
    assert field.get("required") is not None
    assert "Alpha (required)" in words(root)
    assert root.get_element_by_id(field.get("aria-describedby")).text == "Say it."


def test_only_an_empty_bucket_can_be_destroyed(view: PageView) -> None:
    full = MEMBERS["buckets"]
    assert "Destroy… bucket1" not in button_labels(parsed(pages.member_page(view, "buckets", full)))
    empty = full | {"size": "0", "blob_list": []}
    assert "Destroy… bucket1" in button_labels(parsed(pages.member_page(view, "buckets", empty)))
