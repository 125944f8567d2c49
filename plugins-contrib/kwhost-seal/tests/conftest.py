"""kwhost's fixtures for the tests of plugins."""

pytest_plugins = ["kwhost.testing"]
