"""the view of captions shows rewritten ones too"""

import importlib

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

views = importlib.import_module("registry.store.migrations.versions.0003_views")
AXES = importlib.import_module("registry.store.migrations.versions.0007_axes_and_metrics").NEW


def upgrade() -> None:
    views.drop_views()
    views.make_views(AXES)


def downgrade() -> None:
    """Leave the views: they have the columns that they had."""
