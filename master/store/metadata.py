"""What all tables share, wherever they are defined."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

#: SQLite numbers rows by itself only for exactly ``INTEGER``.
Number = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
