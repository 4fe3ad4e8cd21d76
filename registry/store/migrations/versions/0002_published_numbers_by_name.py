"""published numbers by name: corpus, axes and region as a study names them, printed decimals, percentages"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.table("published").delete())  # its rows come from files, and indexing brings them back
    with op.batch_alter_table("published", schema=None) as batch_op:
        batch_op.add_column(sa.Column("corpus", sa.String(length=255), nullable=False))
        batch_op.add_column(sa.Column("degradation", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("inpainter", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("captioner", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("region", sa.String(length=16), nullable=False))
        batch_op.add_column(sa.Column("decimals", sa.Integer(), nullable=False))
        batch_op.add_column(sa.Column("change", sa.Double(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("published", schema=None) as batch_op:
        for column in ("corpus", "degradation", "inpainter", "captioner", "region", "decimals", "change"):
            batch_op.drop_column(column)
