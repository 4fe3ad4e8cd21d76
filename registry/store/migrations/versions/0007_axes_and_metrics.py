"""three more axes, in tables and views, and what measures declare of their numbers"""

import importlib

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NEW = ("recaptioner", "painter", "training")
TABLES = ("configuration", "published")
views = importlib.import_module("registry.store.migrations.versions.0003_views")


def upgrade() -> None:
    views.drop_views()
    for table in TABLES:
        for axis in NEW:
            op.add_column(table, sa.Column(axis, sa.String(length=255), nullable=True))
    op.create_table(
        "metric",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("about", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("higher_is_better", sa.Boolean(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("unit", sa.String(length=64), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=False),
        sa.Column("checkpoint", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_metric")),
    )
    views.make_views(NEW)


def downgrade() -> None:
    views.drop_views()
    op.drop_table("metric")
    for table in TABLES:
        for axis in NEW:
            op.drop_column(table, axis)
    views.make_views()
