"""Bring a database to this version's tables: an empty one at once, an older one by Alembic, step by step.

Does nothing, cheaply, when it is there already. A table changed means a migration beside it, and `HEAD` names the last.
"""

from sqlalchemy import Engine, inspect, text

from node.store import aggregation, log_tables, office, tables

TABLES = (tables, office, aggregation, log_tables)
"""The modules that define tables, all in one metadata."""
HEAD = "0010"


def upgrade(engine: Engine) -> None:
    """Make the tables, or run the migrations the database lacks, in one transaction."""
    known = current(engine)
    if known == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "node.store:migrations")
    with engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        config.attributes["connection"] = conn
        if known is None:
            tables.metadata.create_all(conn)
            command.stamp(config, "head")
        else:
            command.upgrade(config, "head")


def is_behind(engine: Engine) -> bool:
    """Whether there are tables, and they are not this version's."""
    return current(engine) not in (None, HEAD)


def current(engine: Engine) -> str | None:
    """The revision of the tables; None where there are none."""
    with engine.connect() as conn:
        if not inspect(conn).has_table("alembic_version"):
            return None
        version: str | None = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return version
