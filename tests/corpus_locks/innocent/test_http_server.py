"""http.server in a thread, asked by urllib in others."""
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    lock, seen = threading.Lock(), []

    def do_GET(self):
        with self.lock:
            self.seen.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *given):
        pass


def test_get():
    opener, bodies = urllib.request.build_opener(urllib.request.ProxyHandler({})), []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        clients = [threading.Thread(target=lambda: bodies.append(opener.open(address).read())) for _ in range(3)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.shutdown()
        thread.join()
    assert bodies == [b"ok"] * 3
