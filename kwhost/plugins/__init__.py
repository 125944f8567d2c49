"""Built-in plugins: what kwhost itself contributes through the hooks that others use too.

Named by core.pluginmgr.builtin and loaded through the same manager as everybody's.

May import: the hook specifications, core.model, core.errors, core.engines, core.images and kwhost.net.
"""
