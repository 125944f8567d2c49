from typing import Any

# Structures and constants of the C headers have no static types; tests/unit/test_abi.py checks names.
ffi: Any
lib: Any
