"""Flags of a command, made from the settings, so that both say the same."""

from typing import Any, Literal, get_args, get_origin

import click

from nimbi.settings import SETTINGS, Setting


def option(setting: Setting) -> click.Option:
    """Return the flag of one setting; its value is None when it is not given."""
    return click.Option(
        [setting.key, *setting.flags],
        metavar=setting.metavar or None,
        type=None if setting.is_switch else _type(setting),
        is_flag=setting.is_switch,
        default=None,
        multiple=setting.key == "frontends",
        help=_help(setting),
    )


def options() -> list[click.Parameter]:
    """Return the flags of all settings that have one, in the settings' order."""
    return [option(setting) for setting in SETTINGS.values() if setting.flags]


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings among a command's values that were given."""
    return {k: v for k, v in values.items() if k in SETTINGS and v not in (None, ())}


def _type(setting: Setting) -> click.ParamType[Any] | type:
    if get_origin(setting.type) is Literal:
        return click.Choice(get_args(setting.type))
    return {int: int, float: float}.get(setting.type, str)


def _help(setting: Setting) -> str:
    default = setting.default
    notes = [f"variable {setting.env}"] if setting.env else []
    if isinstance(default, str | int | float) and not setting.is_switch:
        shown = f"{default:g}" if isinstance(default, float) else default
        notes.append(f"default {shown}")
    elif isinstance(default, tuple):
        notes.append(f"default {','.join(default)}")
    return f"{setting.text} [{'; '.join(notes)}]" if notes else setting.text
