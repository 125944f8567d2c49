"""The command line: one file per command. Standard output carries results alone.

May import: core.hostcheck, core.operator, core.config, core.model, core.errors, and core.api's client and
stream; core.local and core.daemon only in a command that becomes one of them.
"""
