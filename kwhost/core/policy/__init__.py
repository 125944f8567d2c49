"""System call policies: reading, judging, explaining and compiling them. All of it is pure.

May import: core.config, core.abi, core.model, core.errors.
"""
