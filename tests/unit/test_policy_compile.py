"""A compiled policy decides as the language says: read by Python, and by the monitor's own evaluator."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.errors import ConfigError
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.compile import access_bits, compile_layers
from kwhost.core.policy.destinations import Direction
from kwhost.core.policy.evaluate import (
    AddressUse,
    Call,
    Finding,
    PathUse,
    judge_address,
    judge_arguments,
    judge_path,
)
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import ALLOW, Action, Layer, Policy
from kwhost.core.policy.numbering import RULES_MAX, Numbering, number_rules
from tests.unit.policy_parts import address_uses, calls, in_layer, path_uses, policies, policy_from, untimed
from tests.unit.policy_reader import PolicyReader

SOME = st.lists(policies, min_size=1, max_size=3)
PROTOCOLS = {"tcp": 6, "udp": 17}
SOURCES = ("validate", "decide", "paths", "glob", "network")

Answer = tuple[int, int]


def strictest(findings: Sequence[Finding | None]) -> Answer:
    verdicts = [finding.verdict for finding in findings if finding]
    best = max(verdicts, key=lambda verdict: verdict.strictness, default=ALLOW)
    return getattr(lib, f"KW_POLICY_{best.action.name}"), best.errno


def expected(some: Sequence[Policy], question: Call | PathUse | AddressUse) -> Answer:
    match question:
        case Call():
            return strictest([judge_arguments(policy, question) for policy in some])
        case PathUse():
            return strictest([judge_path(policy, question) for policy in some])
        case AddressUse():
            return strictest([judge_address(policy, question) for policy in some])


@untimed
@given(SOME, calls)
def test_calls_read_back_as_they_were_written(some: list[Policy], call: Call) -> None:
    assert PolicyReader(compile_layers(in_layer(*some)).data).call(call)[:2] == expected(some, call)


@untimed
@given(SOME, path_uses)
def test_paths_read_back_as_they_were_written(some: list[Policy], use: PathUse) -> None:
    assert PolicyReader(compile_layers(in_layer(*some)).data).path(use)[:2] == expected(some, use)


@untimed
@given(SOME, address_uses)
def test_addresses_read_back_as_they_were_written(some: list[Policy], use: AddressUse) -> None:
    assert PolicyReader(compile_layers(in_layer(*some)).data).address(use)[:2] == expected(some, use)


@untimed
@given(SOME, calls)
def test_the_rule_that_decides_is_named_by_its_number(some: list[Policy], call: Call) -> None:
    layers = in_layer(*some)
    compiled = compile_layers(layers)
    findings = [(judge_arguments(layer.policy, call), layer.name) for layer in layers]
    finding, layer = max(findings, key=lambda each: each[0].verdict.strictness)

    named = compiled.numbering.rules[PolicyReader(compiled.data).call(call)[2]]

    assert (named.layer, named.text) == (layer, str(finding.rule))


@pytest.fixture(scope="session")
def evaluator(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The monitor's evaluator as a program that answers questions."""
    folder, monitor = tmp_path_factory.mktemp("policy"), project / "kwhost/monitor"
    compiler = ("gcc", "-std=gnu11", "-O1", "-I", monitor)
    units = [monitor / f"policy/{name}.c" for name in SOURCES] + [monitor / "base/text.c"]
    objects = []
    for unit in units:
        objects.append(folder / f"{unit.stem}.o")
        freestanding = ("-ffreestanding", "-fno-builtin", "-c", unit, "-o", objects[-1])
        subprocess.run([*compiler, *freestanding], check=True)
    program = folder / "evaluate"
    subprocess.run([*compiler, monitor / "tests/policy_eval.c", *objects, "-o", program], check=True)
    return program


def asked(questions: Sequence[Call | PathUse | AddressUse]) -> Iterator[str]:
    for question in questions:
        match question:
            case Call():
                arguments = (*question.arguments, 0, 0, 0, 0, 0, 0)[:6]
                yield " ".join(["call", str(CALLS[question.name]), *map(str, arguments)])
            case PathUse():
                yield f"path {access_bits(question.access)} {question.path.decode()}"
            case AddressUse():
                protocol = PROTOCOLS[question.protocol.value] if question.protocol else 255
                yield f"{question.direction.value} {protocol} {question.port} {question.address}"


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(SOME, st.lists(calls | path_uses | address_uses, min_size=20, max_size=60))
def test_the_monitor_decides_as_the_language_says(
    evaluator: Path,
    tmp_path_factory: pytest.TempPathFactory,
    some: list[Policy],
    questions: list[Call | PathUse | AddressUse],
) -> None:
    file = tmp_path_factory.getbasetemp() / "policy"
    file.write_bytes(compile_layers(in_layer(*some)).data)
    text = "".join(f"{line}\n" for line in asked(questions))
    done = subprocess.run([evaluator, file], input=text, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    answers = [tuple(map(int, line.split()[:2])) for line in done.stdout.splitlines()]
    assert answers == [expected(some, question) for question in questions]


def test_the_built_in_default_leaves_no_path_to_be_looked_at() -> None:
    data = compile_layers([Layer("a", built_in().find("default"))]).data
    table = ffi.from_buffer("struct kw_policy *", data)

    assert table.path_count == 0
    assert table.layers[0].other_access == 7


def test_unknown_calls_are_decided_by_the_default() -> None:
    data = compile_layers(in_layer(policy_from("default = 'kill'"))).data
    layer = ffi.from_buffer("struct kw_policy *", data).layers[0]

    assert layer.unknown.action == layer.calls[lib.KW_CALL_LIMIT - 1].verdict.action == lib.KW_POLICY_KILL


def test_limits_become_an_interval_and_a_burst() -> None:
    compiled = compile_layers(in_layer(policy_from("limits = { fork = '50/s', '@network-io' = '600/m' }")))
    table = ffi.from_buffer("struct kw_policy *", compiled.data)
    fork, network = table.rates[0], table.rates[1]

    def names(rate: object) -> set[str]:
        bits = getattr(rate, "calls")  # noqa: B009 - of a C structure
        return {call for call, number in CALLS.items() if bits[number // 64] >> number % 64 & 1}

    assert table.rate_count == 2
    assert (fork.interval_ns, fork.burst) == (20_000_000, 50)
    assert names(fork) == {"fork", "vfork", "clone", "clone3"}
    assert (network.interval_ns, network.burst) == (100_000_000, 600)
    assert "connect" in names(network)
    assert fork.verdict.action == lib.KW_POLICY_ERRNO
    assert compiled.numbering.rules[fork.verdict.rule].text == "limit fork 50 in 1000 ms"


def test_more_layers_or_rules_than_a_table_holds_are_an_error() -> None:
    policy = policy_from("")
    files = ", ".join(f'{{ path = "/{number}", access = "r" }}' for number in range(5000))

    with pytest.raises(ConfigError, match="9 policies for one instance; 8 are allowed"):
        compile_layers(in_layer(*[policy] * 9))
    with pytest.raises(ConfigError, match="more than 4096 rules on files"):
        compile_layers(in_layer(policy_from(f"files = [{files}]")))
    with pytest.raises(ConfigError, match=f"{RULES_MAX - 1} are allowed"):
        compile_layers(in_layer(*[policy_from(f"files = [{files}]")] * 2))


def test_a_rule_keeps_its_number_when_others_come_and_go() -> None:
    before = policy_from("syscalls = { allow = ['mkdir', 'rmdir'] }")
    after = policy_from("syscalls = { allow = ['rmdir', 'mount'] }")

    first = number_rules(in_layer(before))
    second = number_rules(in_layer(after), first)

    numbers = {rule.text: number for number, rule in second.rules.items()}
    assert all(second.rules[number] == rule for number, rule in first.rules.items())
    assert numbers["allow mount"] not in first.rules
    assert number_rules(in_layer(before), second) == second


def test_numbers_of_rules_that_are_gone_are_used_when_no_others_are_left() -> None:
    def policy(first: int) -> Policy:
        rules = ", ".join(f'{{ path = "/{first + number}", access = "r" }}' for number in range(3000))
        return policy_from(f"files = [{rules}]")

    numbering = Numbering()
    for first in (0, 3000, 6000):
        numbering = number_rules(in_layer(policy(first)), numbering)

    assert max(numbering.rules) < RULES_MAX
    assert {"r /6000", "r /8999"} <= {rule.text for rule in numbering.rules.values()}


def test_actions_are_as_strict_in_the_table_as_in_the_language() -> None:
    numbers = [getattr(lib, f"KW_POLICY_{action.name}") for action in Action]

    assert numbers == sorted(numbers)
    assert RULES_MAX == lib.KW_POLICY_RULES_MAX
    assert {Direction.TO, Direction.LISTEN} == set(Direction)
