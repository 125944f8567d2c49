"""kwhost runs unmodified Linux programs, each in a micro-VM of its own.

May import: nothing. Importing `kwhost` loads neither trio nor cffi.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
