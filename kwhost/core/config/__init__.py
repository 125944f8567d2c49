"""The configuration: what the files may say, where they are looked for, and what applies.

May import: core.model, core.errors.
"""
