"""Realms, hardware profiles, images, keys and metrics as XML."""

from nimbi.frontends.deltacloud.view import View, segment
from nimbi.frontends.deltacloud.words import PROPERTIES, date_text, number
from nimbi.model.hardware_profiles import Enum, Fixed, HardwareProfile, Property, Range
from nimbi.model.images import Image
from nimbi.model.keys import Key, KeyKind
from nimbi.model.metrics import Metric, Sample, Series
from nimbi.model.realms import Realm
from nimbi.wire.xml import cdata, escape


def realm(item: Realm, view: View) -> str:
    limit = f"    <limit>{cdata(str(item.limit))}</limit>\n" if item.limit is not None else ""
    return (
        f"  <realm href='{view.href('realms', item.id)}' id='{escape(item.id)}'>\n"
        f"    <name>{escape(item.name)}</name>\n"
        f"    <state>{item.state._value_.upper()}</state>\n{limit}  </realm>\n"
    )


def hardware_profile(item: HardwareProfile, view: View) -> str:
    properties = "".join(
        _property(name, value, view.api) for name, value in item.properties().items()
    )
    return (
        f"  <hardware_profile href='{view.href('hardware_profiles', item.id)}'"
        f" id='{escape(item.id)}'>\n"
        f"    <id>{escape(item.id)}</id>\n"
        f"    <name>{escape(item.name)}</name>\n{properties}  </hardware_profile>\n"
    )


def image(item: Image, view: View) -> str:
    href = view.href("images", item.id)
    destroy = (
        f"      <link href='{href}' method='delete' rel='destroy_image' />\n"
        if "images.destroy" in view.operations
        else ""
    )
    start = f"{view.api}/instances;image_id={segment(item.id)}"
    return (
        f"  <image href='{href}' id='{escape(item.id)}'>\n"
        f"    <name>{escape(item.name or '')}</name>\n"
        f"    <description>{escape(item.description or '')}</description>\n"
        f"    <owner_id>{escape(item.owner_id or '')}</owner_id>\n"
        f"    <architecture>{escape(item.architecture or '')}</architecture>\n"
        f"    <state>{item.state._value_.upper()}</state>\n"
        f"{_creation_time(item)}{_profiles(item, view)}"
        f"    <root_type>{escape(item.root_type)}</root_type>\n"
        f"    <actions>\n"
        f"      <link href='{start}' method='post' rel='create_instance' />\n"
        f"{destroy}    </actions>\n  </image>\n"
    )


def key(item: Key, view: View) -> str:
    href = view.href("keys", item.id)
    destroy = (
        f"      <link href='{href}' method='delete' rel='destroy' />\n"
        if "keys.destroy" in view.operations
        else ""
    )
    return (
        f"  <key href='{href}' id='{escape(item.id)}' type='{item.kind._value_}'>\n"
        f"    <name>{escape(item.name)}</name>\n"
        f"    <actions>\n{destroy}    </actions>\n"
        f"{_credential(item)}    <state></state>\n  </key>\n"
    )


def metric(item: Metric, view: View) -> str:
    return (
        f"  <metric href='{view.href('metrics', item.id)}' id='{escape(item.id)}'>\n"
        f"    <entity>{escape(item.entity)}</entity>\n"
        f"    <properties>\n{''.join(map(_series, item.series))}    </properties>\n  </metric>\n"
    )


def _property(name: str, value: Property, api: str) -> str:
    wire, unit = PROPERTIES[name]
    opening = (
        f"    <property kind='{_kind(value)}' name='{wire}' unit='{unit}'"
        f" value='{escape(number(value.default))}'"
    )
    if isinstance(value, Fixed):
        return opening + " />\n"
    param = (
        f"      <param href='{api}/instances' method='post' name='hwp_{wire}'"
        " operation='create' />\n"
    )
    return f"{opening}>\n{param}{_choices(value)}    </property>\n"


def _kind(value: Property) -> str:
    return "fixed" if isinstance(value, Fixed) else "range" if isinstance(value, Range) else "enum"


def _choices(value: Range | Enum) -> str:
    if isinstance(value, Range):
        return f"      <range first='{number(value.first)}' last='{number(value.last)}' />\n"
    entries = "".join(f"        <entry value='{escape(number(v))}' />\n" for v in value.values)
    return f"      <enum>\n{entries}      </enum>\n"


def _creation_time(item: Image) -> str:
    at = date_text(item.created_at)
    return f"    <creation_time>{at}</creation_time>\n" if at else ""


def _profiles(item: Image, view: View) -> str:
    if item.hardware_profile_ids is None:
        return ""
    profiles = "".join(
        f"      <hardware_profile href='{view.href('hardware_profiles', id)}'"
        f" id='{escape(id)}' rel='hardware_profile'></hardware_profile>\n"
        for id in item.hardware_profile_ids
    )
    return f"    <hardware_profiles>\n{profiles}    </hardware_profiles>\n"


def _credential(item: Key) -> str:
    if item.kind is KeyKind.PASSWORD:
        return (
            f"    <username>{cdata(item.user or '')}</username>\n"
            f"    <password>{cdata(item.password or '')}</password>\n"
        )
    print_ = item.fingerprint
    fingerprint = f"    <fingerprint>{escape(print_)}</fingerprint>\n" if print_ else ""
    pem = f"    <pem>\n      {cdata(item.private_key)}\n    </pem>\n" if item.private_key else ""
    return fingerprint + pem


def _series(series: Series) -> str:
    name = element_name(series.name)
    return f"      <{name}>{''.join(map(_sample, series.samples))}</{name}>\n"


def element_name(text: str) -> str:
    """Return the name as one that an XML element may have: what cannot stand in it is `_`."""
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in text)
    return clean if clean[:1].isalpha() or clean[:1] == "_" else f"_{clean}"


def _sample(sample: Sample) -> str:
    values = (
        ("minimum", number(sample.minimum)),
        ("maximum", number(sample.maximum)),
        ("average", number(sample.average)),
        ("timestamp", str(int(sample.at.timestamp()))),
        ("unit", sample.unit._value_.capitalize()),
    )
    inner = "".join(f"<property name='{n}' value='{v}'></property>" for n, v in values)
    return f"<sample>{inner}</sample>"
