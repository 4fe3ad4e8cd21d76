"""Embedders: they turn sentences into vectors."""
