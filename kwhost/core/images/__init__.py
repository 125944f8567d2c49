"""Root file systems: what an instance's is made of, and who its users are.

May import: core.abi, core.config, core.model, core.errors.
"""
