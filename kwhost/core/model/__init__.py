"""Frozen records and enumerations, without any input or output.

May import: core.errors.
"""
