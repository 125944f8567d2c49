"""HTTP server and client, sockets of all kinds, select, socketserver, urllib, sendfile, descriptor passing."""
import array, http.client, http.server, os, selectors, socket, socketserver, tempfile, threading, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): body = self.path.encode() * 1000; self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler); port = server.server_address[1]
threading.Thread(target=server.serve_forever, daemon=True).start()
results = []
def fetch(n): results.append(len(urllib.request.urlopen(f"http://127.0.0.1:{port}/{n}").read()))
clients = [threading.Thread(target=fetch, args=(n,)) for n in range(10)]
for client in clients: client.start()
for client in clients: client.join()
print(sorted(results)); server.shutdown()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("127.0.0.1", 0)); udp.sendto(b"datagram", udp.getsockname()); print(udp.recv(100))
six = socket.create_server(("::1", 0), family=socket.AF_INET6); c = socket.create_connection(six.getsockname()[:2]); s, _ = six.accept(); s.sendall(b"six"); print(c.recv(9)); c.close(); s.close()
try: socket.create_connection(("127.0.0.1", 1), timeout=2)
except ConnectionRefusedError: print("refused")
try: socket.create_connection(("192.0.2.1", 80), timeout=0.2)
except OSError as error: print(type(error).__name__)
left, right = socket.socketpair(); socket.send_fds(left, [b"fd"], [udp.fileno()]); message, fds, *_ = socket.recv_fds(right, 10, 4); print(message, len(fds))
selector = selectors.DefaultSelector(); selector.register(right, selectors.EVENT_READ); left.send(b"x"); print(type(selector).__name__, len(selector.select(1)))
with tempfile.TemporaryFile() as file:
    file.write(b"sent by sendfile"); file.flush(); file.seek(0); left.setblocking(True); print(left.sendfile(file)); print(right.recv(1), right.recv(100))
print(socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)[0][4], socket.gethostbyname("localhost"), socket.if_nameindex()[0][1])
