"""Built-in plugins: what kwhost itself contributes through the hooks that others use too.

May import: the hook specifications, core.model, core.errors, core.images and kwhost.net.
"""
