"""The table that instances with no policy of their own start with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kwhost.core.abi import _abi
from kwhost.core.engines.launch import policy_file
from kwhost.core.errors import HostError
from kwhost.core.policy.ceiling_table import compile_ceiling
from kwhost.core.policy.compile import compile_layers
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import Layer
from kwhost.core.policy.prebuilt import PREBUILT_LAYER, PREBUILT_POLICY, prebuilt_ceiling, prebuilt_table


def test_the_table_is_what_the_compiler_makes() -> None:
    layers = [Layer(PREBUILT_LAYER, built_in().find(PREBUILT_POLICY))]

    assert prebuilt_table() == compile_layers(layers).data.rstrip(b"\0"), "make monitor compiles it again"
    assert prebuilt_ceiling() == compile_ceiling(layers)


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


def test_instances_get_the_whole_table_in_little_memory() -> None:
    compiled = compile_layers([Layer(PREBUILT_LAYER, built_in().find(PREBUILT_POLICY))])
    with os.fdopen(policy_file(prebuilt_table()), "rb") as file:
        assert file.read() == compiled.data
        assert os.fstat(file.fileno()).st_blocks * 512 < 64 * 1024
