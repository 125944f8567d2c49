"""Text of programs, made harmless for a terminal. Pure."""

__all__ = ["clean"]


def clean(text: str) -> str:
    """The text on one line, with everything that is not printable written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
