"""Every mistake in a policy is one line with its place and the nearest name, and all are told at once."""

import pytest

from tests.unit.policy_parts import policy_mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("defualt = 'allow'", "1: defualt: unknown key; did you mean default?"),
        ("default = 'alow'", "1: default: there is no action 'alow'; did you mean allow?"),
        ("default = 'errno'", "1: default: there is no action 'errno'; write allow, log, ask, deny"),
        ("default = 'errno:EPREM'", "1: default: there is no error 'EPREM'; did you mean EPERM?"),
        ("default = 1", "1: default: must be an action"),
        ("ceiling = 'none'", '1: ceiling: must be "default" or "policy", not "none"'),
        ("base = 'defalt'", "1: base: there is no policy defalt; did you mean default?"),
        ("base = 'the file'", "1: base: 'the file' is no name for a policy"),
        ("base = 'x'", "1: base: there is no policy x; the policies are default, strict, web"),
        (
            "[syscalls]\nallow = ['mkdri']",
            "2: syscalls.allow[0]: there is no system call 'mkdri'; did you mean mkdir?",
        ),
        (
            "[syscalls]\nallow = [\n'mkdir',\n'@network',\n]",
            "4: syscalls.allow[1]: there is no set @network; did you mean @network-io?",
        ),
        ("[syscalls]\nlog = 'mkdir'", '2: syscalls.log: must be a list such as ["@network-io", "mkdir"]'),
        ("[syscalls]\nkill = [1]", "2: syscalls.kill[0]: must be a call such as mkdir"),
        ("[syscalls]\nrules = [{ call = 'ioctl' }]", "2: syscalls.rules[0]: has no action"),
        (
            "files = [{ path = 'srv/**', access = 'r' }]",
            "1: files[0].path: 'srv/**' is no absolute path: write for example /srv/**",
        ),
        ("files = [{ path = '/srv', access = 'rr' }]", "1: files[0].access: 'rr' is no access"),
        ("files = [{ path = '/srv' }]", "1: files[0]: has no access"),
        (
            "network = [{ to = '10.0.0.300', action = 'allow' }]",
            "1: network[0].to: '10.0.0.300' is no address: write for example 10.0.0.0/8",
        ),
        (
            "network = [{ to = '10.0.0.1/8', action = 'allow' }]",
            "1: network[0].to: '10.0.0.1/8' has bits behind its prefix: write 10.0.0.0/8",
        ),
        ("network = [{ to = '::ffff:10.0.0.1', action = 'deny' }]", "is an IPv4 address: write 10.0.0.1/32"),
        ("network = [{ to = '::/0', action = 'deny' }]", "has the IPv4 addresses in it: write any"),
        ("network = [{ action = 'deny' }]", "1: network[0]: must have exactly one of to and listen, not 0"),
        ("network = [{ to = 'any', listen = [1], action = 'deny' }]", "exactly one of to and listen, not 2"),
        (
            "network = [{ listen = [1], ports = [2], action = 'deny' }]",
            "ports: listen itself names the ports",
        ),
        (
            "network = [{ listen = [65536], action = 'deny' }]",
            "1: network[0].listen[0]: there are no ports 65536",
        ),
        ("network = [{ listen = ['9-8'], action = 'deny' }]", "listen[0]: there are no ports 9-8"),
        ("network = [{ listen = ['http'], action = 'deny' }]", "listen[0]: 'http' is no port"),
        ("network = [{ listen = [true], action = 'deny' }]", "listen[0]: must be a port"),
        (
            "network = [{ to = 'any', protocol = 'tpc', action = 'deny' }]",
            '1: network[0].protocol: there is no protocol \'tpc\': write "tcp" or "udp"',
        ),
        ("limits = { frok = '1/s' }", "1: limits.frok: there is no system call 'frok'; did you mean fork?"),
        ("limits = { fork = '50' }", "1: limits.fork: '50' is no rate: write for example 50/s"),
        ("limits = { fork = '0/s' }", "1: limits.fork: '0/s': a rate is from 1 to 65535"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_was_meant(text: str, expected: str) -> None:
    (mistake,) = policy_mistakes(text)

    assert expected in mistake


@pytest.mark.parametrize(
    ("call", "args", "expected"),
    [
        ("ioctl", "1 = ['TCGET']", "args.1[0]: there is no constant 'TCGET'; did you mean TCGETS?"),
        ("ioctl", "1 = ['TCGETS', 'O_RDNLY']", "args.1[1]: there is no constant 'O_RDNLY'"),
        ("ioctl", "1 = [4294967296]", "args.1[0]: '4294967296' does not fit in the argument's 32 bits"),
        ("ioctl", "1 = [1.5]", "args.1[0]: must be a whole number, or a text such as AF_INET"),
        ("ioctl", "1 = []", "args.1: must name at least one value"),
        ("ioctl", "1 = 5", 'args.1: must be a list such as ["TCGETS", 5], not 5'),
        ("ioctl", "6 = [5]", "args.6: is no argument: they are numbered from 0 to 5"),
        ("ioctl", "request = [5]", "args.request: is no argument: they are numbered from 0 to 5"),
        (
            "ioctl",
            "3 = [5]",
            "args.3: ioctl has no such number to compare; numbers are its arguments 0, 1, 2",
        ),
        ("fork", "0 = [5]", "args.0: fork has no such number to compare; none of its arguments is a number"),
        ("openat", "1 = [5]", "args.1: argument 1 of openat is an address: only numbers can be compared"),
        ("socket", "0 = ['& 0xf == 0x10']", "args.0[0]: '& 0xf == 0x10' never holds"),
        ("@network-io", "0 = [1]", "args: @network-io is a set: only a single call has arguments to compare"),
        (
            "futex",
            "1 = [1], 2 = [1], 3 = [1], 5 = [1], 0 = [1]",
            "args: 5 arguments are compared; 4 are allowed",
        ),
        (
            "read",
            f"0 = {list(range(20))}, 2 = {list(range(20))}",
            "args: the lists make 400 combinations; 256 are allowed",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(call: str, args: str, expected: str) -> None:
    rule = f"{{ call = '{call}', args = {{ {args} }}, action = 'allow' }}"
    mistakes = policy_mistakes(f"syscalls = {{ rules = [{rule}] }}")

    assert f"1: syscalls.rules[0].{expected}" in mistakes[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[syscalls]\nallow = ['mkdir']\nask = ['mkdir']",
            '3: syscalls.ask[0]: "ask mkdir" contradicts "allow mkdir" at web.toml:2: syscalls.allow[0]',
        ),
        (
            """[syscalls]
            rules = [{ call = 'ioctl', args = { 1 = ['TCGETS'] }, action = 'allow' },
                     { call = 'ioctl', args = { 1 = [0x5401] }, action = 'kill' }]""",
            '3: syscalls.rules[1]: "kill ioctl with 1 = 21505" contradicts "allow ioctl with 1 = TCGETS"',
        ),
        (
            "files = [{ path = '/a', access = 'r' },\n{ path = '/a', access = 'w' }]",
            '2: files[1]: "w /a" contradicts "r /a" at web.toml:1: files[0]',
        ),
        (
            "network = [{ listen = [1], action = 'allow' }, { listen = [1], action = 'deny' }]",
            '"errno:EPERM listen port 1" contradicts "allow listen port 1"',
        ),
    ],
)
def test_rules_that_contradict_each_other_are_refused(text: str, expected: str) -> None:
    (mistake,) = policy_mistakes(text)

    assert expected in mistake


def test_the_same_rule_twice_is_no_mistake() -> None:
    assert policy_mistakes("syscalls = { allow = ['mkdir', 'mkdir', '@file-system'] }") == []


def test_all_mistakes_are_told_at_once_in_the_files_order() -> None:
    mistakes = policy_mistakes(
        "base = 'x'\ndefault = 'y'\nfiles = [{ path = 'z', access = 'q' }]\n[syscalls]\nallow = ['a']\nb = 1"
    )

    assert [mistake.split(" ")[0] for mistake in mistakes] == ["1:", "2:", "3:", "3:", "5:", "6:"]
