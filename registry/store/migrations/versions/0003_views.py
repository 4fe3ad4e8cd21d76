"""views that people read with pandas, DuckDB, Datasette or any SQL; registry/views.py says what their columns mean

SQLite looks into every view when a table is renamed: a migration that rebuilds a table drops the views first and makes
them again behind it. So does one that adds an axis, with :func:`make_views`.
"""

from collections.abc import Sequence

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WHERE = """study.name AS study, corpus.name AS corpus, sample.name AS sample, sample.split AS split,
    configuration.degradation AS degradation, configuration.inpainter AS inpainter,
    configuration.captioner AS captioner"""
VIEWS = ("v_images", "v_captions", "v_measurements")
STANDING = """FROM cell
JOIN study ON study.id = cell.study_id
JOIN corpus ON corpus.id = cell.corpus_id
JOIN configuration ON configuration.id = cell.configuration_id
JOIN placement ON placement.configuration_id = cell.configuration_id
JOIN sample ON sample.id = placement.sample_id AND sample.corpus_id = cell.corpus_id
JOIN item ON item.id = placement.item_id
JOIN run ON run.id = item.run_id"""
ORIGIN = """item.key AS item, run.id AS run, run.stage AS stage, run.git_commit AS git_commit,
    run.device AS device"""


def field(column: str, name: str) -> str:
    """A field of a JSON column as text: SQLite since 3.38, PostgreSQL and DuckDB say it alike."""
    dialect = op.get_bind().dialect
    if dialect.name == "sqlite" and dialect.dbapi.sqlite_version_info < (3, 38):
        return f"json_extract(item.{column}, '$.{name}')"
    return f"item.{column} ->> '{name}'"


def make_views(axes: Sequence[str] = ()) -> None:
    """Make the views, with so many axes beyond the first three."""
    where = "".join([WHERE, *(f", configuration.{axis} AS {axis}" for axis in axes)])
    made = f"{field('parts', 'model')} AS model, {field('parts', 'prompt')} AS prompt"
    op.execute(f"""CREATE VIEW v_measurements AS SELECT {where},
    placement.kind AS kind, measurement.metric AS metric, nullif(measurement.region, '') AS region,
    nullif(measurement.layer, -1) AS layer, measurement.value AS value,
    {ORIGIN}, {field("parts", "measure")} AS model
{STANDING}
JOIN measurement ON measurement.item_id = item.id""")
    op.execute(f"""CREATE VIEW v_captions AS SELECT {where},
    {field("value", "caption")} AS caption, item.status AS status, item.reason AS reason,
    {ORIGIN}, coalesce({field("parts", "model")}, {field("parts", "method")}) AS model,
    {field("parts", "prompt")} AS prompt
{STANDING}
WHERE placement.kind IN ('caption', 'recaption')""")
    op.execute(f"""CREATE VIEW v_images AS SELECT {where},
    placement.kind AS kind, item.object AS object, sample.width AS width, sample.height AS height,
    item.status AS status, item.reason AS reason,
    {ORIGIN}, {made}
{STANDING}
WHERE placement.kind IN ('original', 'degraded', 'repainted')""")


def drop_views() -> None:
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")


def upgrade() -> None:
    make_views()


def downgrade() -> None:
    drop_views()
