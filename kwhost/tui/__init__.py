"""The terminal interface, a client of the API like any other.

May import: core.model, core.errors, the API's client and Textual; never the engines or the daemon.
"""
