#!/bin/sh
# Builds and runs the monitor's C tests on the build machine, with address and undefined-behaviour
# sanitizers, then each fuzz target for a fixed number of inputs where clang's libFuzzer is installed.
# The comment `link: FILE...` on a test's first line names the monitor sources it needs.
# Usage: tools/c_tests.sh [NAME...]      KWHOST_FUZZ_RUNS=N: inputs for each fuzz target (0: none)
set -eu
cd "$(dirname "$0")/../kwhost/monitor"
out=${KWHOST_C_TESTS:-$(mktemp -d)}
mkdir -p "$out"
[ -n "${KWHOST_C_TESTS:-}" ] || trap 'rm -rf "$out"' EXIT INT TERM
runs=${KWHOST_FUZZ_RUNS:-200000}
flags="-std=gnu11 -g -O1 -Wall -Wextra -Werror -Wshadow -Wvla -Wstrict-prototypes -fno-builtin -I. -Itests"
sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all"
passed=0 failed='' fuzzed=0

linked() { sed -n '1s,^/\* link: \(.*\) \*/$,\1,p' "$1"; }
wanted() { # is $1 among the names asked for?
    [ -n "$names" ] || return 0
    for name in $names; do [ "$name" = "$1" ] && return 0; done
    return 1
}
names=$*

for source in tests/test_*.c; do
    name=$(basename "$source" .c)
    wanted "$name" || continue
    # shellcheck disable=SC2046,SC2086
    if gcc $flags $sanitize -o "$out/$name" "$source" $(linked "$source") && "$out/$name" >"$out/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name ($(sed -n 's/^# \([0-9]* checks\).*/\1/p' "$out/$name.log"))"
    else
        failed="$failed $name"
        echo "FAIL $name"; [ ! -f "$out/$name.log" ] || tail -40 "$out/$name.log"
    fi
done
for source in fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    wanted "$name" || continue
    [ "$runs" -gt 0 ] || continue
    if ! command -v clang >/dev/null || ! echo 'int LLVMFuzzerTestOneInput(const unsigned char*d,unsigned long n){(void)d;(void)n;return 0;}' |
        clang -x c -fsanitize=fuzzer - -o "$out/probe" 2>/dev/null; then
        echo "skip $name: needs clang and libclang-rt-dev"
        continue
    fi
    mkdir -p "$out/corpus"
    seeds=fuzz/corpus/${name#fuzz_}
    [ -d "$seeds" ] || seeds=
    # shellcheck disable=SC2046,SC2086
    if clang $flags -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o "$out/$name" "$source" $(linked "$source") &&
        "$out/$name" -seed=1 -runs="$runs" -max_len=4096 -artifact_prefix="$out/" "$out/corpus" $seeds >"$out/$name.log" 2>&1; then
        fuzzed=$((fuzzed + 1))
        echo "ok   $name ($runs inputs)"
    else
        failed="$failed $name"
        echo "FAIL $name"; [ ! -f "$out/$name.log" ] || tail -40 "$out/$name.log"
    fi
    rm -rf "$out/corpus"
done
if [ -n "$failed" ]; then
    echo "c tests: failed:$failed"
    exit 1
fi
echo "c tests: $passed programs passed, $fuzzed fuzz targets ran $runs inputs each, all good"
