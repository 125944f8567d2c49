"""What fills the terminal, one at a time. May import: what kwhost.tui may, and its widgets."""
