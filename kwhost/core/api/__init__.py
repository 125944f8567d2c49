"""The daemon's interface: HTTP and JSON on a Unix socket. `client` is its users' side.

May import: core.supervise and below; `client`, `failures` and `stream` only core.config, core.model and
core.errors, and nothing that is slow to load.
"""
