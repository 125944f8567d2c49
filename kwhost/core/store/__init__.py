"""What outlives the daemon: records of instances, the journal of events, the audit, logs.

May import: core.abi, core.model, core.errors.
"""
