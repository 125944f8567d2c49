# Programs beyond the list, each where it is installed: what it shows here is what it shows anywhere.
set -u
cd "$(mktemp -d)"
have() { command -v "$1" > /dev/null; }
have sqlite3 && sqlite3 base 'create table t(n); insert into t values (1), (2); select sum(n) from t;'
have openssl && echo text | openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -S 0102030405060708 | openssl dgst -sha256
have tclsh && echo 'puts [expr {2 ** 70}]; after 20; puts [exec echo child]' | tclsh
have vim && { printf 'one\ntwo\n' > f; vim -es -u NONE -c '%s/o/0/g' -c wq f; cat f; }
have tmux && { TMUX_TMPDIR=$PWD tmux -f /dev/null new-session -d -s s 'echo inside > out; sleep 0.2'; for i in $(seq 100); do [ -s out ] && break; sleep 0.05; done; cat out; }
have clang && { echo 'int main(void) { return 42; }' > a.c; clang -O2 a.c -o a && ./a; echo "clang $?"; }
have musl-gcc && { echo '#include <stdio.h>' > m.c; echo 'int main(void) { puts("musl"); }' >> m.c; musl-gcc -static m.c -o m && ./m; }
have cmake && { printf 'cmake_minimum_required(VERSION 3.13)\nproject(p C)\nadd_executable(p p.c)\n' > CMakeLists.txt; echo 'int main(void) { return 0; }' > p.c; cmake -S . -B b > /dev/null && cmake --build b > /dev/null && b/p && echo "cmake built"; }
have curl && { python3 -m http.server --bind 127.0.0.1 8123 > /dev/null 2>&1 & server=$!; for i in $(seq 100); do curl -s http://127.0.0.1:8123/ > page && break; sleep 0.05; done; grep -c a.c page; kill $server; wait $server; echo "server $?"; }
have less && less /etc/passwd | head -1 | cut -c1-4
have ssh && ssh-keygen -q -t ed25519 -N '' -f key && ssh-keygen -y -f key | cut -c1-11
have java && { cat > T.java <<'END'
import java.util.concurrent.*;
public class T {
    static int deep(int n) { return deep(n + 1) + 1; }
    public static void main(String[] a) throws Exception {
        var pool = Executors.newFixedThreadPool(4);
        long sum = 0;
        for (var f : pool.invokeAll(java.util.stream.IntStream.range(0, 8).mapToObj(n -> (Callable<Long>) () -> { long s = 0; for (int k = 0; k < 1000000; k++) s += (long) k * n % 7; return s; }).toList())) sum += f.get();
        pool.shutdown(); System.out.println(sum);
        try { ((Object) null).toString(); } catch (NullPointerException e) { System.out.println("null caught"); }
        try { deep(0); } catch (StackOverflowError e) { System.out.println("overflow caught"); }
        System.out.println(new ProcessBuilder("true").start().waitFor());
    }
}
END
java -Xmx128m T.java; }
echo end
