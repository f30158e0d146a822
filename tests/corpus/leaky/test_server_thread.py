"""A socket server in a thread, started and forgotten."""
import socket
import socketserver
import threading

LEAKS = "threads.leaked"


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline())


def start_server():
    server = socketserver.TCPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address


def test_echo():
    with socket.create_connection(start_server(), timeout=5) as c:
        c.sendall(b"hi\n")
        assert c.makefile().readline() == "hi\n"
