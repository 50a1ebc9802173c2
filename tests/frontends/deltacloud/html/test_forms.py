from dataclasses import replace

import pytest

from nimbi.driver.capabilities import BY_ID
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.html.form_table import FORMS
from nimbi.frontends.deltacloud.html.view import FormField, PageView
from nimbi.frontends.deltacloud.html.words import WORDS
from nimbi.model.buckets import NewBucket
from nimbi.model.features import features_of
from nimbi.model.images import NewImage
from nimbi.model.instances import NewInstance
from nimbi.model.keys import NewKey
from nimbi.model.volumes import NewVolume

REQUESTS = {
    "buckets": NewBucket,
    "images": NewImage,
    "instances": NewInstance,
    "keys": NewKey,
    "volumes": NewVolume,
}


def names(fields: tuple[FormField, ...]) -> list[str]:
    return [field.name for field in fields]


def test_every_form_is_for_an_operation_that_exists() -> None:
    assert {form.operation for form in FORMS.values()} <= set(BY_ID)


def test_every_choice_comes_from_a_collection_that_exists() -> None:
    assert {a.source for form in FORMS.values() for a in form.fields if a.source} <= set(WORDS)


def test_every_need_is_a_feature_of_the_model_or_an_operation() -> None:
    known = {
        f"{name}.{mark.name}" for name, r in REQUESTS.items() for mark in features_of(r).values()
    }
    needs = {a.needs for form in FORMS.values() for a in form.fields if a.needs}
    assert needs <= known | set(BY_ID)


def test_a_feature_that_the_driver_lacks_has_no_field(view: PageView) -> None:
    assert "user_data" in names(pages.form_fields(view, "instances", "create"))
    without = replace(view, features=frozenset())
    assert "user_data" not in names(pages.form_fields(without, "instances", "create"))
    assert "image_id" in names(pages.form_fields(without, "instances", "create"))


def test_choices_are_asked_of_the_collections_that_the_form_shows(view: PageView) -> None:
    assert pages.choice_sources(view, "instances", "create") == (
        "images",
        "hardware_profiles",
        "realms",
    )


def test_listed_members_can_be_chosen_and_an_optional_one_left_to_the_cloud(view: PageView) -> None:
    listed = {"images": [("img1", "Fedora")], "realms": [("us", "United States")]}
    fields = {f.name: f for f in pages.form_fields(view, "instances", "create", listed)}
    assert fields["image_id"].kind == "select"
    assert fields["image_id"].choices == (("img1", "Fedora"),)
    assert fields["realm_id"].choices[0][0] == ""


def test_without_a_list_an_id_can_still_be_typed(view: PageView) -> None:
    fields = {f.name: f for f in pages.form_fields(view, "instances", "create")}
    assert fields["image_id"].kind == "text"


def test_what_the_address_names_is_filled_in_even_beyond_the_list(view: PageView) -> None:
    listed = {"images": [("img1", "Fedora")]}
    filled = pages.form_fields(view, "instances", "create", listed, {"image_id": "img999"})
    assert filled[0].value == "img999"
    assert ("img999", "img999") in filled[0].choices


def test_a_form_that_does_not_exist_is_an_error(view: PageView) -> None:
    with pytest.raises(KeyError):
        pages.form_fields(view, "realms", "create")
