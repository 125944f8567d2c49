#!/bin/sh
# Builds every source file into /tmp/kwhost-monitor, incrementally. For builders; the package uses CMake.
set -e
cd "$(dirname "$0")"
out=${OUT:-/tmp/kwhost-obj}; mkdir -p "$out"
flags="-std=gnu11 -ffreestanding -nostdlib -static -fno-pic -no-pie -fno-stack-protector -fno-asynchronous-unwind-tables -O2 -g -Wall -Wextra -Werror -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -I."
objects=
for source in $(find . -path ./tests -prune -o -path ./fuzz -prune -o \( -name '*.c' -o -name '*.S' \) -print); do
  object=$out/$(echo "$source" | tr / _).o; objects="$objects $object"
  if [ ! -f "$object" ] || [ -n "$(find . -name '*.h' -newer "$object" -o -name '*.def' -newer "$object" | head -1)" ] || [ "$source" -nt "$object" ]; then
    gcc $flags -c "$source" -o "$object.tmp" && mv "$object.tmp" "$object"
  fi
done
gcc -nostdlib -static -no-pie -Wl,-z,noexecstack,--build-id=none,-z,max-page-size=4096 -o /tmp/kwhost-monitor.new $objects "$@"
mv /tmp/kwhost-monitor.new /tmp/kwhost-monitor
