"""Compiles the built-in policy `default` for kwhost.core.policy.prebuilt; the build runs it.

Usage: tools/policy_table.py ABI TABLE CEILING: the directory of the module _abi, and the files to be written.
"""

import sys
from pathlib import Path


def main(abi: str, table: Path, ceiling: Path) -> None:
    """Compile with the ABI module that was just built, which is not at its place yet."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import kwhost.core.abi

    kwhost.core.abi.__path__.insert(0, abi)
    from kwhost.core.policy.ceiling_table import compile_ceiling
    from kwhost.core.policy.compile import compile_layers
    from kwhost.core.policy.library import built_in
    from kwhost.core.policy.model import Layer
    from kwhost.core.policy.prebuilt import PREBUILT_LAYER, PREBUILT_POLICY

    layer = Layer(PREBUILT_LAYER, built_in().find(PREBUILT_POLICY))
    table.write_bytes(compile_layers([layer]).data.rstrip(b"\0"))
    ceiling.write_bytes(compile_ceiling([layer]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
