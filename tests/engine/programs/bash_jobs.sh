# Background jobs, wait, signals to jobs, job control without a terminal.
set -u
for i in 1 2 3 4; do (sleep 0.0$i; exit "$i") & pids[$i]=$!; done
for i in 1 2 3 4; do wait "${pids[$i]}"; echo "job $i ended with $?"; done
sleep 100 & pid=$!; kill "$pid"; wait "$pid"; echo "terminated $?"
sleep 100 & pid=$!; kill -9 "$pid"; wait "$pid" 2>/dev/null; echo "killed $?"
sleep 100 & pid=$!; kill -STOP "$pid"; sleep 0.05; grep State "/proc/$pid/status" | cut -f2 | cut -c1; kill -CONT "$pid"; kill "$pid"; wait "$pid"; echo "$?"
(sleep 0.02; echo first) & (sleep 0.3; echo second) & wait -n; echo "one ended"; wait
set -m
sleep 100 & sleep 0.02; jobs -r | wc -l; kill %1; wait %1 2>/dev/null; echo "job control $?"
set +m
trap 'echo child ended' CHLD; (exit 3) & wait $!; trap - CHLD
( (sleep 0.02; echo orphan > /tmp/orphan.$$) & ); for i in $(seq 100); do [ -s /tmp/orphan.$$ ] && break; sleep 0.01; done; cat /tmp/orphan.$$
echo to stdin | bash -c 'read line; echo "read $line"'
timeout 5 bash -c 'trap "echo asked; exit 4" TERM; kill -TERM $$; sleep 3'; echo "$?"
nohup true > /dev/null 2>&1; echo "nohup $?"
exec 3< <(echo held open); read -r line <&3; echo "$line"
kill -l TERM; kill -0 $$; echo "alive $?"; kill -0 999999 2>/dev/null; echo "nobody $?"
exec bash -c 'echo replaced by exec; exit 0'
