"""A threading server whose handlers share a lock, and clients in threads."""
import socket
import socketserver
import threading


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        with self.server.lock:
            self.server.served += 1
        self.wfile.write(self.rfile.readline().upper())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock, self.served = threading.Lock(), 0


def ask(address, answers):
    with socket.create_connection(address, 10) as connection:
        connection.sendall(b"hello\n")
        answers.append(connection.makefile("rb").readline())


def test_four_clients():
    answers = []
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        clients = [threading.Thread(target=ask, args=(server.server_address, answers)) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.shutdown()
        thread.join()
    assert answers == [b"HELLO\n"] * 4
    assert server.served == 4
