"""What Alembic runs: one transaction, on the connection that `storage.database` gives it."""

from __future__ import annotations

from alembic import context

from storage.rollups import METADATA

connection = context.config.attributes.get("connection")
if connection is None:
    message = "migrations are run by Evenkeel itself: start it, or `evenkeel migrate`"
    raise SystemExit(message)

context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes a table by copying it.
)
with context.begin_transaction():
    context.run_migrations()
