"""Threads, files, big numbers, hashes, sqlite3, ctypes, mmap, compression, json."""
import ctypes, decimal, hashlib, json, mmap, os, queue, re, sqlite3, ssl, struct, sys, tempfile, threading, time, zlib

print(sys.version_info[:2], sys.platform, sys.executable, os.getcwd())
print(hashlib.sha256(b"x" * 1_000_000).hexdigest(), pow(3, 5000, 10**40 + 7))
jobs: queue.Queue = queue.Queue()
sums, lock = [], threading.Lock()
def work():
    while (item := jobs.get()) is not None:
        value = sum(i * i for i in range(item))
        with lock:
            sums.append(value)
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for item in range(200): jobs.put(item * 20)
for _ in threads: jobs.put(None)
for thread in threads: thread.join()
print(len(sums), sum(sums), threading.active_count())
event = threading.Event()
start = time.monotonic()
print(event.wait(0.05), time.monotonic() - start >= 0.05)
timer = threading.Timer(0.02, event.set); timer.start(); print(event.wait(5)); timer.join()
with tempfile.TemporaryDirectory() as folder:
    base = sqlite3.connect(os.path.join(folder, "base")); base.execute("pragma journal_mode=wal")
    base.execute("create table t (n integer primary key, s text)")
    base.executemany("insert into t values (?, ?)", ((i, str(i) * 3) for i in range(2000))); base.commit()
    print(base.execute("select count(*), sum(n), max(s) from t").fetchone()); base.close()
    path = os.path.join(folder, "map")
    with open(path, "wb") as file: file.truncate(1 << 20)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[1000:1005] = b"hello"; view.flush(); print(view.find(b"hello"), len(view))
    print(os.stat(path).st_size, sorted(os.listdir(folder))[-1], os.path.getsize(path))
libc = ctypes.CDLL(None); print(libc.abs(-5), ctypes.string_at(libc.strerror(2)).decode() if False else os.strerror(2))
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
array = (ctypes.c_int * 5)(5, 3, 9, 1, 7); libc.qsort(array, 5, 4, callback(lambda a, b: a[0] - b[0])); print(list(array))
print(zlib.crc32(zlib.compress(b"data" * 10000)), json.loads('{"a": [1, 2.5, "\\u00e9"]}'), decimal.Decimal(2).sqrt())
print(ssl.OPENSSL_VERSION.split()[0], ssl.create_default_context().minimum_version.name, len(os.urandom(16)))
print(re.sub(r"(\w+) (\w+)", r"\2 \1", "one two"), struct.pack("<IQ", 1, 2).hex())
def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
sys.setrecursionlimit(20000); threading.stack_size(256 << 20)
thread = threading.Thread(target=lambda: print("deep", deep(15000))); thread.start(); thread.join()
