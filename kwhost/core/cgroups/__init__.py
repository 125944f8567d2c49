"""Control groups: the limits of instances and tenants, version 2 and version 1.

May import: core.model, core.errors.
"""
