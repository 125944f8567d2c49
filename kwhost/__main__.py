"""`python -m kwhost` is the command `kwhost`."""

from kwhost.core.cli.main import entry

if __name__ == "__main__":
    entry()
