"""The migrations lead to the schema of the models, and to no other."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from registry.store import database, schema


def test_migrations_and_models_agree(empty_url):
    engine = database.connect(empty_url)
    database.migrate_when_behind(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.Base.metadata) == []


def test_head_is_the_newest_migration():
    assert ScriptDirectory("registry/store/migrations").get_current_head() == database.HEAD


def test_every_constraint_has_a_name():
    for table in schema.Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints), table.name


def test_sqlite_keeps_foreign_keys_and_writes_ahead(tmp_path):
    with database.connect(f"sqlite:///{tmp_path}/deep/registry.db").connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
