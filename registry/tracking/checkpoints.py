"""Pinned checkpoints in MLflow's model registry."""

from __future__ import annotations

from pathlib import Path

from registry.tracking import experiment_id, opened


def register_model(name: str, version: str, digest: str, commit: str, folder: Path) -> None:
    """Put a checkpoint's files into MLflow's model registry, once: plain files with tags, no flavour that is unpickled.

    MLflow counts versions itself; a version of ours is the tag ``palimpsest.version``, and an alias without dots.
    Raises ``ConnectionError`` where MLflow does not take it.
    """
    from mlflow.exceptions import MlflowException

    tags = {"palimpsest.version": version, "palimpsest.digest": digest, "git.commit": commit}
    client = opened()
    try:
        found = client.search_model_versions(f"name = '{name}'")
        if any(model.tags.get("palimpsest.version") == version for model in found):
            return
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        run = client.create_run(experiment_id(client, "pins"), tags=tags, run_name=f"{name}@{version}").info
        client.log_artifacts(run.run_id, str(folder), "model")
        client.set_terminated(run.run_id)
        made = client.create_model_version(name, f"{run.artifact_uri}/model", run.run_id, tags)
        client.set_registered_model_alias(name, version.replace(".", "-").replace("+", "_"), made.version)
    except MlflowException as error:
        raise ConnectionError(f"{name}@{version} is pinned, but not in MLflow's registry: {error}") from None
