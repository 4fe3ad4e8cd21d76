"""``python -m reports``: build the report of the study in params.yaml into data/report."""

from __future__ import annotations

from registry.store import places
from registry.store.database import connect, migrate_when_behind
from registry.store.faults import told
from registry.store.objects import ObjectStore
from registry.store.params import parsed
from reports.report import build


def main() -> None:
    """Build the report and say where it is."""
    try:
        root = places.root()
        study = parsed((root / "params.yaml").read_bytes(), "params.yaml")["study"]
        engine = connect(places.registry_url())
        migrate_when_behind(engine)
        print(build(engine, ObjectStore(places.objects_url()), study, root / "data" / "report"))
    except Exception as error:
        raise SystemExit(told(error)) from None


if __name__ == "__main__":
    main()
