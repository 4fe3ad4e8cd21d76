"""pins with their kind, author, study and runs; what happened to them afterwards"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("pin", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=32), nullable=False, server_default="data"))
        batch_op.add_column(sa.Column("md5", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("study", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("runs", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("author", sa.String(length=255), nullable=False, server_default=""))
    op.create_table(
        "pin_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pin_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.Column("stage", sa.String(length=255), nullable=True),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pin_id"], ["pin.id"], name=op.f("fk_pin_event_pin_id_pin"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pin_event")),
        sa.UniqueConstraint("tag", name=op.f("uq_pin_event_tag")),
    )
    op.create_index(op.f("ix_pin_event_pin_id"), "pin_event", ["pin_id"])


def downgrade() -> None:
    op.drop_table("pin_event")
    with op.batch_alter_table("pin", schema=None) as batch_op:
        for column in ("kind", "md5", "study", "runs", "author"):
            batch_op.drop_column(column)
