# bash: pipes, subshells, substitutions, arrays, here-documents, traps.
set -u
cd "$(mktemp -d)"
echo "pipe: $(seq 1 100 | grep 7 | sort -r | head -2 | tr '\n' ' ')"
(cd /usr; pwd; exit 3); echo "subshell $?"; pwd | grep -c tmp
diff <(seq 1 5) <(seq 2 6); echo "diff $?"
seq 3 > >(cat > sunk); until [[ -f sunk && $(wc -l < sunk) == 3 ]]; do sleep 0.02; done; cat sunk
cat <<END
here $((6 * 7)) $(echo command)
END
cat <<'END'
$literal
END
read -r a b <<< "one two three"; echo "$b / $a"
declare -A map=([x]=1 [y]=2); for key in $(printf '%s\n' "${!map[@]}" | sort); do echo "$key=${map[$key]}"; done
array=({1..5}); echo "${#array[@]} ${array[@]:1:3} ${array[-1]}"
text="hello world"; echo "${text^^} ${text/o/0} ${text#* } ${#text}"
false | true | false; echo "${PIPESTATUS[@]}"
set -o pipefail; false | true; echo "pipefail $?"
trap 'echo "got USR1"' USR1; kill -USR1 $$; trap - USR1
(trap 'echo "on exit $?"' EXIT; exit 5); echo "$?"
(trap 'echo term; exit 9' TERM; kill -TERM $BASHPID; sleep 1); echo "$?"
bash -c 'kill -9 $$'; echo "killed $?"
bash -c 'exit 300'; echo "exit $?"
no_such_command_here 2>/dev/null; echo "missing $?"
/etc/passwd 2>/dev/null; echo "not executable $?"
exec 5<> file; echo "through five" >&5; exec 5>&-; cat file
{ echo out; echo err >&2; } 2>&1 | sort
coproc CAT { cat; }; echo "to the coprocess" >&"${CAT[1]}"; read -r line <&"${CAT[0]}"; echo "$line"; eval "exec ${CAT[1]}>&-"
fork_depth() { [ "$1" -eq 0 ] && echo bottom || (fork_depth $(($1 - 1))); }; fork_depth 15
for i in $(seq 1 50); do /bin/true; done; echo "fifty processes"
printf '%s\n' {a..e} | xargs -n1 -P3 echo | sort | tr '\n' ' '; echo
time_output=$( { time sleep 0.01; } 2>&1 | grep -c real); echo "time $time_output"
ulimit -n 100; ulimit -n; umask 027; umask; wait; jobs
