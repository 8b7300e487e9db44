"""The fixtures of the app's tests."""

from tests.app_fixtures import bench, family, home, service, study

__all__ = ["bench", "family", "home", "service", "study"]
