# ps and top see the instance's own processes under their own names, and nothing else.
set -eu
sleep 77 & one=$!
sleep 78 & two=$!
sleep 0.1
ps -eo comm= | grep -c '^sleep'
ps -eo args= | grep '^sleep' | sort
ps -o stat= -C sleep | cut -c1 | tr '\n' ' '; echo
ps -o uid=,nlwp= -C sleep | tr -s ' '
ps -o ppid= -p "$one" | tr -d ' ' | grep -qx "$$" && echo "ours"
top -b -n 1 | awk '$NF == "sleep" {count++} END {print "top shows", count}'
top -b -n 1 | grep -c '^%Cpu'
top -b -n 1 -p "$one" | tail -1 | awk '{print $2, $8, $12}'
pgrep -c sleep
pkill -f 'sleep 78'; wait "$two" || echo "ended $?"
pgrep -c sleep
[ "$(ps -e --no-headers | wc -l)" -lt 12 ] && echo "few processes"
ps -ef | grep -v grep | grep -c -i kvm || true
kill "$one"; wait "$one" || echo "ended $?"
free > /dev/null && uptime > /dev/null && echo "free and uptime"
