"""What Alembic runs: the migrations, in the transaction of whoever asked for them."""

from alembic import context

from nimbi.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
