"""The daemon: puts the supervisor, the plugins and the API together.

May import: everything below the command line.
"""
