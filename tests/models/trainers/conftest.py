from tests.models.painters.conftest import make_painted, one_thread

__all__ = ["make_painted", "one_thread"]
