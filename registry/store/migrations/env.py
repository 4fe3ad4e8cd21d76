"""Alembic's entry: migrate over the connection that ``registry.store.database.migrate`` hands in."""

from alembic import context

from registry.store.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot ALTER
)
with context.begin_transaction():
    context.run_migrations()
