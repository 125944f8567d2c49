"""Metrics of kwhost's tenants and instances for Prometheus: a plugin of kwhost.

May import: kwhost.hookspecs, kwhost.core.model, kwhost.core.errors, kwhost.core.config.host (the command
alone).
"""

__version__ = "0.1.0"
