"""Realms, hardware profiles, images, keys and metrics as JSON."""

from typing import Any

from nimbi.frontends.deltacloud.render_json.instances import reference
from nimbi.frontends.deltacloud.view import View
from nimbi.frontends.deltacloud.words import PROPERTIES, date_text, number
from nimbi.model.hardware_profiles import HardwareProfile
from nimbi.model.images import Image
from nimbi.model.keys import Key
from nimbi.model.metrics import Metric, Sample, Series
from nimbi.model.realms import Realm


def realm(item: Realm, view: View) -> dict[str, Any]:
    return {
        "id": item.id,
        "href": view.href("realms", item.id),
        "name": item.name,
        "state": item.state.upper(),
        "limit": "unlimited" if item.limit is None else str(item.limit),
    }


def hardware_profile(item: HardwareProfile, view: View) -> dict[str, Any]:
    member: dict[str, Any] = {
        "id": item.id,
        "href": view.href("hardware_profiles", item.id),
        "name": item.name,
    }
    told = item.properties()
    if told:
        member["properties"] = {PROPERTIES[n][0]: number(v.default) for n, v in told.items()}
    return member


def image(item: Image, view: View) -> dict[str, Any]:
    return {
        "id": item.id,
        "href": view.href("images", item.id),
        "name": item.name,
        "description": item.description,
        "owner": item.owner_id,
        "architecture": item.architecture,
        "state": item.state.upper(),
        "root_type": item.root_type,
        "creation_time": date_text(item.created_at),
        "hardware_profiles": [
            reference("hardware_profile", id, view.api) for id in item.hardware_profile_ids or ()
        ],
    }


def key(item: Key, view: View) -> dict[str, Any]:
    member: dict[str, Any] = {
        "id": item.id,
        "href": view.href("keys", item.id),
        "name": item.name,
        "credential_type": item.kind.value,
        "username": item.user,
        "password": item.password,
        "state": None,
    }
    if item.private_key is not None:
        member["pem_rsa_key"] = item.private_key
    if item.fingerprint is not None:
        member["fingerprint"] = item.fingerprint
    return member


def metric(item: Metric, view: View) -> dict[str, Any]:
    return {
        "id": item.id,
        "href": view.href("metrics", item.id),
        "entity": item.entity,
        "properties": [_series(series) for series in item.series],
    }


def _series(series: Series) -> dict[str, Any]:
    return {"name": series.name, "values": [_sample(s) for s in series.samples] or None}


def _sample(sample: Sample) -> dict[str, str]:
    return {
        "minimum": number(sample.minimum),
        "maximum": number(sample.maximum),
        "average": number(sample.average),
        "timestamp": str(int(sample.at.timestamp())),
        "unit": sample.unit.capitalize(),
    }
