"""The registry for notebooks and scripts: a few questions, answered with tables and lineages.

>>> from registry import open_registry
>>> with open_registry("sqlite://") as registry:
...     registry.published(table="2", metric="lpips").row[0]
'SD1.5-cm'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import column, select, table

from registry.lineage.groups import nearest
from registry.store.database import connect, migrate_when_behind
from registry.store.schema import Study
from registry.views import VIEWS

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from registry.lineage.groups import Group
    from registry.lineage.locks import Output
    from registry.lineage.walk import Trace


class Registry:
    """An open registry. Use it as a context, or ``close`` it; what it returns does not need it any more.

    The tables are those of :mod:`registry.views`, which says what their columns mean; what does not apply is missing.
    """

    def __init__(self, url: str) -> None:
        self.engine = connect(url)
        migrate_when_behind(self.engine)

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.engine.dispose()

    def studies(self) -> list[str]:
        """The names of the studies that were indexed."""
        with self.engine.connect() as connection:
            return list(connection.scalars(select(Study.name).order_by(Study.name)))

    def measurements(self, study: str, metric: str | None = None, region: str | None = None) -> pd.DataFrame:
        """The measurements of a study, one row each, as ``v_measurements`` has them.

        Raises ``ValueError`` with the nearest known name where there is no such study, or nothing of that name in it.
        """
        return self._rows("v_measurements", study, metric=metric, region=region)

    def captions(self, study: str, captioner: str | None = None) -> pd.DataFrame:
        """The captions of a study, one row each, as ``v_captions`` has them; raises as ``measurements`` does."""
        return self._rows("v_captions", study, captioner=captioner)

    def images(self, study: str, kind: str | None = None) -> pd.DataFrame:
        """The pictures of a study, one row each, as ``v_images`` has them; raises as ``measurements`` does."""
        return self._rows("v_images", study, kind=kind)

    def picture(self, digest: str) -> Image:
        """The picture of a digest, such as ``object`` of :meth:`images`, from the object store that settings name.

        Raises ``FileNotFoundError`` where the store does not hold it.
        """
        import io

        from PIL import Image

        from registry.store import places
        from registry.store.objects import ObjectStore

        return Image.open(io.BytesIO(ObjectStore(places.objects_url()).get(digest)))

    def trace(self, id: str) -> Trace | Group | Output:
        """Trace something back to its origin; :mod:`registry.lineage.ids` says what can be named.

        Raises ``ValueError`` with the nearest known names where the ID names nothing, or more than one thing.
        """
        from registry.lineage.ids import trace

        return trace(self.engine, id)

    def published(
        self,
        table: str | None = None,
        metric: str | None = None,
        corpus: str | None = None,
        paper: str | None = None,
    ) -> pd.DataFrame:
        """Numbers that papers report, one row each; raises ``ValueError`` where no number is selected."""
        import pandas as pd

        from registry.published import numbers

        found = numbers(self.engine, paper=paper, table=table, metric=metric, corpus=corpus)
        return pd.DataFrame([number.as_json() for number in found])

    def _rows(self, view: str, study: str, **asked: str | None) -> pd.DataFrame:
        import pandas as pd

        columns = table(view, *map(column, VIEWS[view])).c
        wanted = [columns[name] == value for name, value in {"study": study, **asked}.items() if value is not None]
        with self.engine.connect() as connection:
            frame = pd.read_sql(select(*columns).where(*wanted), connection)
            if frame.empty and study not in (known := self.studies()):
                raise ValueError(f"The registry holds no study {study!r}; {nearest(study, known)}")
            for name, value in asked.items() if frame.empty else ():
                there = connection.scalars(select(columns[name]).where(columns.study == study).distinct()).all()
                if value is not None and value not in there:
                    raise ValueError(f"Study {study!r} has no {name} {value!r}; {nearest(value, filter(None, there))}")
        return frame
