# coreutils and friends.
set -eu
dir=$(mktemp -d); cd "$dir"
seq 1 5000 > numbers; wc numbers; sort -rn numbers | head -3; shuf --random-source=numbers -i 1-5 | wc -l
split -l 1000 numbers part-; ls part-*; cat part-* | cmp - numbers && echo same
head -c 100000 /dev/zero | sha256sum; head -c 4096 /dev/urandom | wc -c
cut -d: -f1 /etc/passwd | head -3; tr a-z A-Z < /etc/hostname > /dev/null
cp -a numbers copy; ln copy hard; ln -s copy soft; stat -c '%h %s %F' hard; readlink soft; realpath soft | sed "s,$dir,D,"
touch -d '2001-02-03 04:05:06 UTC' copy; TZ=UTC date -r copy +%s
mkdir -p a/b/c; touch a/b/c/f; find a | sort; du -s --apparent-size a > /dev/null; rmdir a/b 2>&1 | sed 's/.*: //'; rm -r a
chmod 2750 numbers; stat -c %a numbers; chown 12:34 numbers; stat -c '%u %g' numbers
printf 'b 2\na 1\n' > l; printf 'a x\nb y\n' > r; sort l | join - r; paste l r; comm -12 r r; uniq -c l | tr -s ' '
expr 6 \* 7; factor 600851475143; basename /a/b.c .c; dirname /a/b; nproc > /dev/null; uname -s; id -un
timeout 0.05 sleep 5 || echo "timeout $?"
tee copy2 < l | md5sum; od -An -tx1 -N4 numbers; base64 -w0 l; echo; numfmt --to=iec 1048576
mkfifo pipe; (cat numbers > pipe &) ; tail -1 pipe
dd if=numbers of=dd bs=1000 count=3 skip=1 2>&1 | head -2; truncate -s 1M hole; stat -c '%s %b' hole
env -i A=b env; nice -n 5 nice; sync -f .; test -w /tmp && echo writable; yes | head -2; stdbuf -oL echo buffered
df . > /dev/null; mv numbers moved; ls; cd /; rm -r "$dir"
