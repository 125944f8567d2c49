"""Watching over running instances.

May import: core.engines, core.abi, core.config, core.model, core.errors.
"""
