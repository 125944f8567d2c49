#!/bin/sh
# Builds and runs the monitor's C tests on the build machine, with address and undefined-behaviour
# sanitizers, then each fuzz target for a fixed number of inputs where clang's libFuzzer is installed.
# A test's first comment, `link: FILE...`, names the monitor's sources that it needs.
# Usage: tools/c_tests.sh [NAME...]      KWHOST_FUZZ_RUNS=N: inputs for each fuzz target (0: none)
# KWHOST_FUZZ_SECONDS=N: each target for so long instead, with other inputs each time
# KWHOST_MUST=fuzz: without libFuzzer this fails
set -eu
cd "$(dirname "$0")/../kwhost/monitor"
out=${KWHOST_C_TESTS:-$(mktemp -d)}
mkdir -p "$out"
[ -n "${KWHOST_C_TESTS:-}" ] || trap 'rm -rf "$out"' EXIT INT TERM
runs=${KWHOST_FUZZ_RUNS:-200000}
amount="-seed=1 -runs=$runs" told="$runs inputs"
[ -z "${KWHOST_FUZZ_SECONDS:-}" ] ||
    amount="-max_total_time=$KWHOST_FUZZ_SECONDS" told="$KWHOST_FUZZ_SECONDS seconds"
flags="-std=gnu11 -g -O1 -Wall -Wextra -Werror -Wshadow -Wvla -Wstrict-prototypes -fno-builtin -I. -Itests"
sanitize="-fno-sanitize-recover=all -fsanitize=address,undefined"
passed=0 failed='' fuzzed=0

linked() { # the files named by the first comment of $1, which may take several lines
    awk '{ print } /\*\// { exit }' "$1" | tr -s '\n* ' ' ' | sed -n 's,^/ link: \(.*\) / *$,\1,p'
}
wanted() { # is $1 among the names asked for?
    [ -n "$names" ] || return 0
    for name in $names; do [ "$name" = "$1" ] && return 0; done
    return 1
}
names=$*

host_of() { # targets that include fuzz/fake_host.h answer the host calls of what they link, too
    ! grep -q '^#include "fuzz/fake_host.h"' "$1" || echo "-include fuzz/fake_host.h"
}

# Compiles the sources that test $1 links with compiler $2 and flags $3, like the monitor itself without
# a C library's headers unless they include them; prints the objects.
objects() {
    for unit in $(linked "$1"); do
        object=$out/$2-$(basename "$1" .c)-$(echo "$unit" | tr / _).o
        # shellcheck disable=SC2086
        case $unit in
        tests/fake_space.c) "$2" $flags $3 -c "$unit" -o "$object" || return 1 ;;
        *) "$2" $flags $(host_of "$1") -ffreestanding $3 -c "$unit" -o "$object" || return 1 ;;
        esac
        echo "$object"
    done
}
build() { # test, compiler, sanitizers of the units, of the whole
    units=$(objects "$1" "$2" "$3") || return 1
    # shellcheck disable=SC2086
    "$2" $flags $4 -o "$out/$name" "$1" $units
}

for source in tests/test_*.c; do
    name=$(basename "$source" .c)
    wanted "$name" || continue
    if build "$source" gcc "$sanitize" "$sanitize" && "$out/$name" >"$out/$name.log" 2>&1; then
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
        case ",${KWHOST_MUST:-}," in *[,\ ]fuzz[,\ ]*) failed="$failed $name" ;; esac
        continue
    fi
    mkdir -p "$out/corpus"
    seeds=fuzz/corpus/${name#fuzz_}
    [ -d "$seeds" ] || seeds=
    # shellcheck disable=SC2086
    if build "$source" clang "$sanitize,fuzzer-no-link" "$sanitize,fuzzer" &&
        "$out/$name" $amount -max_len=4096 -artifact_prefix="$out/" "$out/corpus" $seeds >"$out/$name.log" 2>&1; then
        fuzzed=$((fuzzed + 1))
        echo "ok   $name ($told)"
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
echo "c tests: $passed programs passed, $fuzzed fuzz targets ran $told each, all good"
