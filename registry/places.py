"""Where the registry, the objects and the MLflow store live.

Everything is inside the checkout, under ``.palimpsest/``, until a team says otherwise:

==========================  ================================================  ===================================
variable                    meaning                                           default
==========================  ================================================  ===================================
``PALIMPSEST_REGISTRY``     SQLAlchemy URL of the registry                    ``sqlite:///.palimpsest/registry.db``
``PALIMPSEST_OBJECTS``      fsspec URL of the object store                    ``.palimpsest/objects``
``MLFLOW_TRACKING_URI``     MLflow tracking URI                               ``sqlite:///.palimpsest/mlflow.db``
==========================  ================================================  ===================================
"""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The checkout: the folder of ``dvc.yaml``, looked for from the working directory upwards.

    Raises ``FileNotFoundError`` where there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise FileNotFoundError(f"No dvc.yaml in {here} or above it; change to a Palimpsest checkout and run again.")


def home() -> Path:
    """The folder of the default stores; made when missing."""
    folder = root() / ".palimpsest"
    folder.mkdir(exist_ok=True)
    return folder


def registry_url() -> str:
    return os.environ.get("PALIMPSEST_REGISTRY") or f"sqlite:///{home() / 'registry.db'}"


def objects_url() -> str:
    return os.environ.get("PALIMPSEST_OBJECTS") or str(home() / "objects")


def tracking_uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"
