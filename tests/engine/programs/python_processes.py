"""subprocess, os.fork, multiprocessing with fork and spawn, pipes, shared memory, pools."""
import concurrent.futures, multiprocessing, os, signal, subprocess, sys, time

def square(n): return n * n
def fill(shared, lock, n):
    for _ in range(100):
        with lock: shared.value += n
def child(pipe): pipe.send({"pid differs": os.getpid() != os.getppid(), "got": pipe.recv()}); sys.exit(3)

def main():
    run = lambda *a, **k: subprocess.run(a, capture_output=True, text=True, **k)
    print(run("echo", "out").stdout, run("sh", "-c", "echo err >&2; exit 4"))
    print(run("cat", input="through a pipe").stdout)
    print(subprocess.check_output("echo $A; pwd", shell=True, env={"A": "set", "PATH": os.environ["PATH"]}, cwd="/usr"))
    for bad in (["/no/such/program"], ["/etc/passwd"]):
        try: subprocess.run(bad)
        except OSError as error: print(type(error).__name__, error.errno)
    try: subprocess.run(["sleep", "5"], timeout=0.1)
    except subprocess.TimeoutExpired: print("timed out")
    process = subprocess.Popen(["sleep", "100"], start_new_session=True); process.send_signal(signal.SIGKILL); print(process.wait())
    one = subprocess.Popen(["seq", "1000"], stdout=subprocess.PIPE)
    two = subprocess.Popen(["tail", "-1"], stdin=one.stdout, stdout=subprocess.PIPE, close_fds=True); one.stdout.close(); print(two.communicate()[0])
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0: os.write(writer, b"forked"); os._exit(9)
    print(os.read(reader, 10), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "exit 6"], os.environ), 0)[1]))
    try: os.posix_spawn("/missing", ["x"], {})
    except FileNotFoundError: print("posix_spawn: missing")
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with context.Pool(3) as pool: print(method, pool.map(square, range(10)))
        shared, lock = context.Value("i", 0), context.Lock()
        workers = [context.Process(target=fill, args=(shared, lock, n)) for n in (1, 2)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        here, there = context.Pipe(); worker = context.Process(target=child, args=(there,)); worker.start(); here.send("hello")
        print(shared.value, here.recv(), worker.join(), worker.exitcode)
    with concurrent.futures.ProcessPoolExecutor(2) as pool: print(sum(pool.map(square, range(50))))
    with concurrent.futures.ThreadPoolExecutor(8) as pool: print(sum(pool.map(square, range(500))))

if __name__ == "__main__":
    main()
