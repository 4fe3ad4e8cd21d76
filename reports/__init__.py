"""The report: one page that opens from disk, made from nothing but the registry."""
