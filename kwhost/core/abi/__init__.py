"""What Python shares with the monitor, read from the monitor's own header through cffi.

May import: core.model, core.errors, and alone in kwhost cffi's modules.
"""
