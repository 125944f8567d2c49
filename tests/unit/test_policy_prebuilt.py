"""The table that instances with no policy of their own start with."""

import subprocess
import sys
from pathlib import Path

import pytest

from kwhost.core.abi import _abi
from kwhost.core.errors import HostError
from kwhost.core.policy.compile import compile_layers
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import Layer
from kwhost.core.policy.prebuilt import PREBUILT_LAYER, PREBUILT_POLICY, prebuilt_table


def test_the_table_is_what_the_compiler_makes() -> None:
    compiled = compile_layers([Layer(PREBUILT_LAYER, built_in().find(PREBUILT_POLICY))])

    assert prebuilt_table() == compiled.data.rstrip(b"\0"), "make monitor compiles it again"


def test_a_table_that_is_not_there_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_abi, "__file__", str(tmp_path / "abi" / "_abi.so"))

    with pytest.raises(HostError, match=r"policy/default\.table: No such file or directory: install kwhost"):
        prebuilt_table()


def test_reading_the_table_loads_no_compiler() -> None:
    script = (
        "import sys; from kwhost.core.policy.prebuilt import prebuilt_table; prebuilt_table(); "
        "sys.exit(any(name in sys.modules for name in ('tomllib', 'kwhost.core.policy.compile')))"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
