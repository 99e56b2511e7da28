"""What the tests of sources share with those of repositories."""

from tests.repository.conftest import make_repository

__all__ = ["make_repository"]
