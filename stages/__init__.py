"""The nodes of the DAG: read, ask a model, write. No SQL and no model code lives here."""
