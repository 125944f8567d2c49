"""What a terminal sends for a key. Pure. From xterm's ctlseqs."""

__all__ = ["encode_key", "encode_paste"]

_PLAIN = {
    "enter": "\r",
    "backspace": "\x7f",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "escape": "\x1b",
    "delete": "\x1b[3~",
    "insert": "\x1b[2~",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "space": " ",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f4": "\x1bOS",
    "f5": "\x1b[15~",
    "f6": "\x1b[17~",
    "f7": "\x1b[18~",
    "f8": "\x1b[19~",
    "f9": "\x1b[20~",
    "f10": "\x1b[21~",
    "f11": "\x1b[23~",
    "f12": "\x1b[24~",
}
_CURSOR = {"up": "A", "down": "B", "right": "C", "left": "D", "end": "F", "home": "H"}
_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4}


def encode_key(key: str, character: str | None, *, application_cursor: bool = False) -> bytes:
    """Of Textual's names for keys; nothing for those that no terminal has."""
    if key in _PLAIN:
        return _PLAIN[key].encode()
    *modifiers, name = key.split("+")
    if name in _CURSOR:
        if not modifiers:
            return f"\x1b{'O' if application_cursor else '['}{_CURSOR[name]}".encode()
        code = 1 + sum(_MODIFIERS.get(modifier, 0) for modifier in modifiers)
        return f"\x1b[1;{code}{_CURSOR[name]}".encode()
    if modifiers == ["ctrl"] and len(name) == 1 and name.isalpha():
        return bytes([ord(name) & 0x1F])
    if modifiers == ["alt"] and len(name) == 1:
        return f"\x1b{name}".encode()
    return character.encode() if character else b""


def encode_paste(text: str, *, bracketed: bool) -> bytes:
    """Lines end as Enter ends them; text cannot end the brackets by itself."""
    text = text.replace("\r\n", "\r").replace("\n", "\r")
    if bracketed:
        return f"\x1b[200~{text.replace(chr(0x1B), '')}\x1b[201~".encode()
    return text.encode()
