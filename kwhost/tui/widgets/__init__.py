"""Parts of screens. May import: what kwhost.tui may; never screens."""
