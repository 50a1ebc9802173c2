"""One row for any table, made of its columns: tables that are added later are met by tests too."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, Table

from nimbi.store.schema import METADATA, Words


def row_of(table: Table, number: int = 7) -> dict[str, Any]:
    """Return a row with something in every column."""
    return {column.name: _value(column.type, number) for column in table.columns}


def tables() -> list[Table]:
    return list(METADATA.tables.values())


def _value(kind: Any, number: int) -> Any:
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, BigInteger | Integer):
        return number
    if isinstance(kind, LargeBinary):
        return b"\x00bytes%d" % number
    assert isinstance(kind, Words), kind
    return f"w\u00f6rd{number}"
