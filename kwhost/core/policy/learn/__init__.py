"""From what a program did to the smallest policy that lets it do so again. All of it is pure.

May import: core.policy, core.abi, core.model, core.errors.
"""
