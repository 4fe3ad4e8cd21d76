"""how many measurements an item has, which PostgreSQL guesses wrong by ten times in a large table"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

MEASUREMENTS = 10
"""Of an item, about. Taken for hundreds, to look up those of one corpus seems dearer than to read all there are."""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE measurement ALTER COLUMN item_id SET (n_distinct = {-1 / MEASUREMENTS})")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE measurement ALTER COLUMN item_id RESET (n_distinct)")
