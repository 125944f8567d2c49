"""Finding plugins, calling their hooks, and keeping their faults away from everything else.

May import: kwhost.hookspecs, core.model, core.errors.
"""
