"""a digest with every value, so that one that was damaged is not taken for what was computed"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROWS = 10_000
item = sa.table("item", sa.column("id", sa.Integer), sa.column("value", sa.JSON), sa.column("digest", sa.String))


def upgrade() -> None:
    op.add_column("item", sa.Column("digest", sa.String(length=64), nullable=True))
    connection, last = op.get_bind(), 0
    text = sa.cast(item.c.value, sa.LargeBinary if connection.dialect.name == "sqlite" else sa.Text)
    given = sa.update(item).where(item.c.id == sa.bindparam("row")).values(digest=sa.bindparam("given"))
    some = sa.select(item.c.id, text.label("text")).where(item.c.value.is_not(None)).order_by(item.c.id).limit(ROWS)
    while rows := connection.execute(some.where(item.c.id > last)).all():
        connection.execute(given, [{"row": row.id, "given": digest(row.text)} for row in rows])
        last = rows[-1].id


def digest(text: bytes | str) -> str:
    """As registry.store.items had it when this was written; of what is no JSON any more, one that nothing has."""
    try:
        value = json.loads(text)
    except ValueError:
        return ""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def downgrade() -> None:
    op.drop_column("item", "digest")
