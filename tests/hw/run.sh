#!/usr/bin/env bash
# Runs a command on an emulated machine with hardware-style KVM (AMD SVM and nested paging, all of it
# emulated by QEMU's TCG: slow, but the same on every host) under Debian's stock kernel.
#
#   run.sh [--memory MB] [--cpus N] [--timeout SECONDS] [--out DIR] [--] COMMAND [ARG...]
#   run.sh --fetch          only fetch the kernel into the cache
#
# The command sees this machine's files, in the present directory and with the environment variables that
# matter (PATH, HOME, KWHOST_*, ...). What it writes is gone afterwards, except in DIR, its /out.
# Exit status: the command's; 124 when the time ran out; 125 when the machine did not come up (its
# console is shown then).
# Needs: qemu-system-x86 busybox-static cpio kmod; apt for the first run. KWHOST_HW_CACHE moves the cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
  echo "hw: $*" >&2
  exit 125
}

. "$here/kernel.sh"

usage() {
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
}

need_tools() {
  local tool package missing=
  while read -r tool package; do
    command -v "$tool" >/dev/null || missing+=" $package"
  done <<<"qemu-system-x86_64 qemu-system-x86
busybox busybox-static
cpio cpio
modprobe kmod"
  [[ -z $missing ]] || fail "missing packages; run: apt-get install -y$missing"
}

# The command with its directory and environment, as a script for the machine's bash.
write_command() {
  local name
  printf 'cd %q || exit 125\n' "$PWD"
  for name in $(compgen -e); do
    case $name in
      PATH | HOME | LANG | LC_* | CI | KWHOST_* | PYTHON* | PYTEST_* | VIRTUAL_ENV | PYENV_*)
        printf 'export %s=%q\n' "$name" "${!name}" ;;
    esac
  done
  printf 'export TMPDIR=/tmp KWHOST_HW=1 OUT=/out\n'
  printf 'exec'
  printf ' %q' "$@"
  printf '\n'
}

# Packs init, the modules and the command into "$scratch/initramfs".
write_initramfs() {
  local root=$scratch/root file
  mkdir -p "$root"/{bin,proc,sys,dev,host,memory,root,modules,machine}
  cp "$(command -v busybox)" "$root/bin/busybox"
  cp "$here/init" "$root/init"
  cp "$here/last" "$root/machine/last"
  chmod 755 "$root/init"
  while read -r file; do
    cp "$file" "$root/modules/"
    basename "$file"
  done < <(kernel_module_files $(grep -v '^#' "$here/modules")) >"$root/machine/module-order"
  printf 'module_tree=%q\nshare_out=%q\ndirectory=%q\n' "$kernel_tree/lib/modules" "$out" "$PWD" >"$root/machine/settings"
  write_command "$@" >"$root/machine/command"
  (cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$scratch/initramfs"
}

# Runs the machine, its virtual CPUs by turns: side by side, QEMU before 8.1 may keep running code that
# another CPU has just replaced. A kernel that patches its own, as KVM does with each first and last
# virtual machine, then traps for ever.
# The port "output" ends in a pipe that we copy to standard output (QEMU's own stdio device counts as
# unplugged once our standard input ends), the port "status" in a file.
boot() {
  local share=() copier keep code=0
  mkfifo "$scratch/output"
  exec {keep}<>"$scratch/output" # until QEMU is gone, so that the copier starts and ends in any case
  cat "$scratch/output" {keep}>&- &
  copier=$!
  [[ -z $out ]] || share=(-virtfs "local,path=$out,mount_tag=out,security_model=none,multidevs=remap")
  timeout --kill-after=5 "$limit" qemu-system-x86_64 \
    -machine q35 -accel tcg,thread=single -cpu max,la57=off -smp "$cpus" -m "$memory" \
    -nodefaults -display none -no-reboot -nic none \
    -kernel "$kernel_image" -initrd "$scratch/initramfs" \
    -append "console=ttyS0 panic=-1 loglevel=4 mitigations=off" \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap "${share[@]}" \
    -device i6300esb -action watchdog=poweroff \
    -device virtio-serial-pci \
    -chardev file,id=output,path="$scratch/output" -device virtserialport,chardev=output,name=output \
    -chardev file,id=status,path="$scratch/status" -device virtserialport,chardev=status,name=status \
    -serial file:"$scratch/console" </dev/null {keep}>&- &
  machine=$!
  wait "$machine" || code=$?
  machine=
  exec {keep}>&-
  wait "$copier"
  return "$code"
}

# Also when we are interrupted: bash would wait for a machine in the foreground first.
clean_up() {
  [[ -z $machine ]] || kill "$machine" 2>/dev/null || true
  rm -rf "$scratch"
}

memory=2048 cpus=2 limit=600 out=
while [[ $# -gt 0 ]]; do
  case $1 in
    --memory) memory=$2; shift 2 ;;
    --cpus) cpus=$2; shift 2 ;;
    --timeout) limit=$2; shift 2 ;;
    --out) mkdir -p "$2"; out=$(cd "$2" && pwd); shift 2 ;;
    --fetch) kernel_prepare; exit 0 ;;
    --) shift; break ;;
    -*) usage ;;
    *) break ;;
  esac
done
[[ $# -gt 0 ]] || usage

need_tools
kernel_prepare
scratch=$(mktemp -d "${TMPDIR:-/tmp}/kwhost-hw.XXXXXX")
machine=
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
write_initramfs "$@"

code=0
boot || code=$?
if [[ -s $scratch/status ]]; then
  exit "$(<"$scratch/status")"
fi
tail -n 40 "$scratch/console" >&2 2>/dev/null || true
[[ $code == 124 || $code == 137 ]] && { echo "hw: no end after $limit seconds" >&2; exit 124; }
[[ $code == 0 ]] && fail "the machine stopped: it hung for a minute (its watchdog ended it), or did not come up"
fail "the machine did not come up (QEMU ended with $code)"
