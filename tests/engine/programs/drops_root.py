"""What entrypoints do: make a directory somebody else's, bind port 80, drop to that user, serve."""
import os, socket, threading, urllib.request, http.server

folder = "/tmp/served"
os.makedirs(folder); open(f"{folder}/index.html", "w").write("served by another user\n")
for path in (folder, f"{folder}/index.html"): os.chown(path, 33, 33)
os.chmod(folder, 0o700)
server = socket.create_server(("0.0.0.0", 80))
os.setgroups([33]); os.setgid(33); os.setuid(33)
print(os.getresuid(), os.getresgid(), os.getgroups())
for attempt in (lambda: os.setuid(0), lambda: os.chown(folder, 0, 0), lambda: open("/etc/new", "w"), lambda: os.kill(1, 9) if os.getpid() != 1 else os.setuid(0)):
    try: attempt(); print("allowed")
    except PermissionError as error: print(error.errno)
os.chdir(folder)
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
httpd = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False); httpd.socket.close(); httpd.socket = server; httpd.server_address = server.getsockname()
threading.Thread(target=httpd.serve_forever, daemon=True).start()
print(urllib.request.urlopen("http://127.0.0.1:80/index.html").read()); httpd.shutdown()
open(f"{folder}/log", "w").write("mine"); print(os.stat(f"{folder}/log").st_uid)
