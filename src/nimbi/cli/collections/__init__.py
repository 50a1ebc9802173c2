"""The commands of all collections, made from the API's routes: `nimbi volumes create`."""

from nimbi.cli.collections.group import group_of

__all__ = ["group_of"]
