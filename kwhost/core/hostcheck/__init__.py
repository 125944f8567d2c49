"""What this host offers each engine, found by trying it, and what to do about what is missing.

May import: core.storage, core.engines, core.config, core.model, core.errors.
"""
