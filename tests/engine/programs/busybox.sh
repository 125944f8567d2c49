# busybox, static: the shell and its tools.
set -eu
b=/bin/busybox
dir=$($b mktemp -d); cd "$dir"
$b seq 1 1000 | $b awk '{s+=$1} END {print s}'
$b printf 'c\nb\na\n' | $b sort | $b tr '\n' ' '; echo
$b find /usr/share/zoneinfo/Europe -name 'B*' | $b sort | $b head -5
for i in 1 2 3; do ($b sleep 0.01; echo "job $i" > "out.$i") & done; wait
$b cat out.1 out.2 out.3
$b tar -c out.* | $b tar -t
$b dd if=/dev/zero bs=64k count=16 2>/dev/null | $b sha256sum
$b id -u
echo $((1 << 40)) "$(echo nested $(echo deeper))"
(exit 7) || echo "status $?"
trap 'echo trapped' USR1; kill -USR1 $$
$b vi --help >/dev/null 2>&1 || true
$b env -i A=1 $b env
$b rm -r "$dir"; test ! -e "$dir"; echo done
