"""Bring a database to this version's tables with Alembic; does nothing, cheaply, when it is there already."""

from sqlalchemy import Engine, inspect, text

HEAD = "0001"


def upgrade(engine: Engine) -> None:
    """Run the migrations the database lacks, in one transaction each."""
    if current(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "node.store:migrations")
    with engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        config.attributes["connection"] = conn
        command.upgrade(config, "head")


def current(engine: Engine) -> str | None:
    """The revision of the tables; None where there are none."""
    with engine.connect() as conn:
        if not inspect(conn).has_table("alembic_version"):
            return None
        version: str | None = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return version
