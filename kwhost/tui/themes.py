"""The colours: dark, light, and none."""

from textual.theme import Theme

__all__ = ["THEMES"]


def _variables(muted: str, *sources: str) -> dict[str, str]:
    """`sources` tell several instances' lines apart, beside their names."""
    return {"muted": muted} | {f"source-{number}": colour for number, colour in enumerate(sources)}


_DARK = Theme(
    name="kwhost-dark", dark=True, primary="#2f6fab", secondary="#5b7fa3", accent="#4cc2d8",
    foreground="#d7dce3", background="#12161c", surface="#171c24", panel="#1f2630",
    success="#6fcf7c", warning="#e5b567", error="#ef6b73",
    variables=_variables("#7f8b9b", "#7fb4ff", "#e59cd0", "#9ccf6f", "#e5b567", "#4cc2d8", "#c0a5f2"),
)  # fmt: skip
_LIGHT = Theme(
    name="kwhost-light", dark=False, primary="#a9cdf0", secondary="#7b96b2", accent="#00728a",
    foreground="#1d2530", background="#fbfcfd", surface="#f1f4f7", panel="#e3e8ee",
    success="#1f7a35", warning="#9a5b00", error="#b3261e",
    variables=_variables("#5f6b78", "#1f5fbf", "#a3287a", "#3d7a1f", "#8a5200", "#00728a", "#6a3fc0"),
)  # fmt: skip
_PLAIN = Theme(
    name="kwhost-plain", dark=True, primary="#5a5a5a", secondary="#8a8a8a", accent="#ffffff",
    foreground="#d0d0d0", background="#000000", surface="#0c0c0c", panel="#242424",
    success="#d0d0d0", warning="#ffffff", error="#ffffff",
    variables=_variables("#8a8a8a", *["#d0d0d0"] * 6),
)  # fmt: skip

THEMES = (_DARK, _LIGHT, _PLAIN)
