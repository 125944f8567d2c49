"""Answers the questions of policies from a webhook: a plugin of kwhost.

May import: kwhost.hookspecs, kwhost.core.model, kwhost.core.errors.
"""

__version__ = "0.1.0"
