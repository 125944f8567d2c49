"""Takes rights away from instances once they are healthy: a plugin of kwhost.

May import: kwhost.hookspecs, kwhost.core.model, kwhost.core.errors, kwhost.core.policy.patterns (to check
paths).
"""

__version__ = "0.1.0"
