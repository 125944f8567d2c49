"""Engines: ways to run an instance, and what they need of the host.

May import: core.abi, core.config, core.model, core.errors.
"""
