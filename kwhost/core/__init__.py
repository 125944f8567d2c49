"""The core: records, configuration, images, engines, supervision and the command line.

May import: its own layers downwards (pyproject.toml, import-linter); never plugins, net or the TUI.
"""
