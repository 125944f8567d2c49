"""What this host's settings risk for tenants who do not trust each other, read from files alone.

Every check is a function of the files beneath a root directory; none changes anything, and none fails where
they are missing or nonsense. May import: what core.hostcheck may.
"""
