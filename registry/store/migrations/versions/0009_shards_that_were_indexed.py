"""which shards were indexed as they are, so that only others are read again"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "indexed",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("corpus_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("placed", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpus.id"], name=op.f("fk_indexed_corpus_id_corpus"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_indexed")),
    )
    op.create_index(op.f("ix_indexed_corpus_id"), "indexed", ["corpus_id"])


def downgrade() -> None:
    op.drop_table("indexed")
