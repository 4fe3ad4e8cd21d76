"""``python -m reports``: build the report of the study in params.yaml into data/report."""

from __future__ import annotations

import yaml

from registry.store import places
from registry.store.database import connect, migrate_when_behind
from registry.store.faults import told
from registry.store.objects import ObjectStore
from reports.report import build


def main() -> None:
    """Build the report and say where it is."""
    try:
        root = places.root()
        study = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["study"]
        engine = connect(places.registry_url())
        migrate_when_behind(engine)
        print(build(engine, ObjectStore(places.objects_url()), study, root / "data" / "report"))
    except Exception as error:
        raise SystemExit(told(error)) from None


if __name__ == "__main__":
    main()
