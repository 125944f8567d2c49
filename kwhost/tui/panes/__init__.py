"""The tabs of an instance. May import: what kwhost.tui may, and its widgets; never screens."""
