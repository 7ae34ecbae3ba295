"""Alembic's entry point: runs on the connection node.store.schema hands over."""

from alembic import context

from node.store.office import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
