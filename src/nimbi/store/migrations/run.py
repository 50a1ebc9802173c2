"""Alembic, told everything by its caller."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def known(place: Path) -> frozenset[str]:
    """Return all forms that the migrations at this place know."""
    script = ScriptDirectory.from_config(_config(place))
    return frozenset(each.revision for each in script.walk_revisions())


def upgrade(connection: Connection, place: Path, to: str = "head") -> None:
    """Run the migrations at this place in the connection's transaction."""
    config = _config(place)
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _config(place: Path) -> Config:
    config = Config()
    # A percent sign would name another option.
    config.set_main_option("script_location", str(place).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
