# ps and top see the instance's own processes under their own names, and nothing else.
set -eu
sleep 77 & sleep 78 & sleep 0.1
ps -eo comm= | sort | uniq -c | grep -v -E 'contain|init' | awk '{print $1, $2}' | grep -E 'sleep'
ps -eo args= | grep -E '^sleep' | sort
ps -o stat= -C sleep | cut -c1 | tr '\n' ' '; echo
ps -o uid=,nlwp= -C sleep | tr -s ' '
top -b -n 1 | awk '$NF == "sleep" {count++} END {print "top shows", count}'
top -b -n 1 | grep -c '^%Cpu'
pgrep -c sleep; pkill -f 'sleep 78'; wait -n 2>/dev/null || echo "ended $?"; pgrep -c sleep
[ "$(ps -e --no-headers | wc -l)" -lt 12 ] && echo "few processes"
ps -ef | grep -c -E 'kwhost|kvm' || true
kill $!  2>/dev/null || true; kill %1; wait 2>/dev/null; free > /dev/null && uptime > /dev/null && echo "free and uptime"
