"""Networks of tenants and instances: plans as values, applied to the host in one place.

May import: core.model, core.errors, and alone in kwhost pyroute2.
"""
