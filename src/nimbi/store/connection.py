"""What others than the store know of the database's library: an open transaction, and a row."""

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["AsyncConnection", "Row"]
