"""Where the registry is: URLs as people write them, and sentences about those that cannot be."""

from __future__ import annotations

import sys

import pytest

from registry.store.database import connect
from registry.store.places import database


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:pass@db.example:5433/team?sslmode=require",
        "postgres://me:pass@db.example:5433/team?sslmode=require",
        "postgresql+psycopg2://me:pass@db.example:5433/team?sslmode=require",
        "postgresql://me@db.example:5433/team?password=pass&sslmode=require",
    ],
)
def test_postgresql_is_psycopg_3(url):
    engine = connect(url)
    assert engine.dialect.driver == "psycopg"
    assert str(engine.url) == "postgresql+psycopg://me:***@db.example:5433/team?sslmode=require"
    assert engine.url.password == "pass"


@pytest.mark.parametrize(
    "url",
    [
        "registry.db",
        "mysql://me:secret@host/team",
        "nosuch://me:secret@host/team",
        "postgresql://me:@:secret@host/team",
        "postgresql://me:secret@host:port/team",
    ],
)
def test_what_is_no_registry_is_told_without_its_words(url):
    with pytest.raises(ValueError, match="write sqlite:///FILE or postgresql://USER@HOST/DATABASE") as raised:
        database(url)
    assert "secret" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_missing_psycopg_is_told_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ValueError, match=r"psycopg cannot be imported .*pip install -e '\.\[postgres\]'"):
        connect("postgresql://me@host/team")


def test_what_does_not_answer_is_told_in_one_sentence(tmp_path):
    (tmp_path / "folder").mkdir()
    for url in (f"sqlite:///{tmp_path}/folder", f"postgresql://me:s3cret@/team?host={tmp_path}"):
        with pytest.raises(
            ConnectionError, match=r"^The registry cannot be opened: .* Check PALIMPSEST_REGISTRY\.$"
        ) as e:
            connect(url).connect()
        assert "s3cret" not in str(e.value)
        assert "\n" not in str(e.value)
