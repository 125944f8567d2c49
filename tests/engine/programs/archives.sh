# tar, gzip, xz, bzip2: round trips with owners, links and holes.
set -eu
cd "$(mktemp -d)"
mkdir -p tree/sub; seq 1 20000 > tree/numbers; ln -s numbers tree/link; ln tree/numbers tree/hard; truncate -s 300k tree/hole; chown 7:8 tree/sub
umask 022; chmod 640 tree/numbers
tar -C tree -cf plain.tar --sort=name --mtime=@0 .; sha256sum plain.tar | cut -c1-16
for z in gzip xz bzip2; do
  command -v $z > /dev/null || continue
  $z -k -c plain.tar > packed; $z -t packed 2>/dev/null || $z -t < packed; $z -dc packed | cmp - plain.tar && echo "$z same"
done
tar -C tree -czf a.tgz . ; mkdir out; tar -C out -xzpf a.tgz; diff -r tree out && echo "trees same"
stat -c '%a %u %g' out/numbers out/sub; readlink out/link; [ out/numbers -ef out/hard ] && echo hard
xz -T2 -6 -c plain.tar | xz -dc | cmp - plain.tar && echo "xz with threads same"
tar -tvf plain.tar --full-time | awk '{print $1, $3}' | head -3
gzip -c tree/numbers | zcat | tail -1
