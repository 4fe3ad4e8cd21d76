"""What the doctor says of git, in a repository of its own."""

from __future__ import annotations

import subprocess

from stages.care.doctor import commit


def git(*command: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], check=True, capture_output=True)


def test_a_lock_that_is_in_no_commit_is_told(tmp_path, monkeypatch):
    """``palimpsest pin`` refuses then, so "clean" would be no help."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "empty")
    assert commit().state == "ok"
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    told = commit()
    assert (told.state, told.what) == ("warning", "dvc.lock is in no commit, so that nothing can be pinned")
    git("add", "dvc.lock")
    git("commit", "--quiet", "-m", "lock")
    assert commit().state == "ok"
