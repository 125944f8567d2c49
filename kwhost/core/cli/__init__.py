"""The command line: one file per command. Standard output carries results alone.

May import: core.hostcheck, core.model, core.errors; core.local only when a command runs something.
"""
