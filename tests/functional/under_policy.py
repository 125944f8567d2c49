"""`python -m tests.functional.under_policy POLICY REPORT RUN-ARGUMENTS...`: runs a program as kwhost run,
under the policy of a file, and writes which of its rules refused something into another file, a line each."""

import os
import sys
from pathlib import Path
from unittest.mock import patch

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.cli.run import parse_run
from kwhost.core.config.host import load_host_config
from kwhost.core.engines import launch
from kwhost.core.local import run_instance
from kwhost.core.model.instance import GuestLimits
from kwhost.core.policy.compile import Compiled, compile_layers
from kwhost.core.policy.library import read_policy_file
from kwhost.core.policy.model import Layer


def refusing_rules(statistics: int, compiled: Compiled) -> list[str]:
    data = os.pread(statistics, ffi.sizeof("struct kw_policy_shared"), lib.KW_POLICY_SHARED_OFFSET)
    shared = ffi.from_buffer("struct kw_policy_shared *", data)
    texts = [rule.text for number, rule in compiled.numbering.rules.items() if shared.counts[number].denied]
    return [*texts, *(["no rule"] if shared.counts[0].denied else [])]


def main(policy: Path, report: Path, arguments: list[str]) -> int:
    spec, _ = parse_run(arguments)
    compiled = compile_layers([Layer("instance", read_policy_file(policy, policy.read_bytes()))])
    statistics = launch.new_statistics_file()
    with patch.object(launch, "new_statistics_file", lambda: os.dup(statistics)):
        outcome = run_instance(
            spec, load_host_config(), GuestLimits(), print, want_statistics=False, policy=str(policy)
        )
    report.write_text("".join(f"{text}\n" for text in refusing_rules(statistics, compiled)))
    return outcome.exit_status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
