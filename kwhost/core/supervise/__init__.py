"""Watching over running instances.

May import: core.engines, core.operator, core.abi, core.config, core.model, core.errors.
"""
