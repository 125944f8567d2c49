"""A log of what policies decided, chained by hashes: a plugin of kwhost.

May import: kwhost.hookspecs, kwhost.core.model, kwhost.core.errors.
"""

__version__ = "0.1.0"
