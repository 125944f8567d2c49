"""The operator in front of a program: their terminal and their signals.

May import: core.model, core.errors.
"""
