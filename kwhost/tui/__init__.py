"""The terminal interface, a client of the API like any other.

May import: core.model, core.errors, the API's client and types, the words in which core.policy shows calls,
and Textual; never the engines or the daemon.

Workers read from the daemon and post messages; handlers own the state, and nothing blocks in between.
"""
