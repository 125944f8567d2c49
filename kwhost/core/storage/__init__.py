"""Volumes: directories of tenants that outlive instances, each with its own bound.

May import: core.images, core.abi, core.model, core.errors.
"""
