"""A request and its answer over a socket, under the lock of the connection."""
import socket
import threading
import time

FINDS = "locks.contention"
COUNT = 1
NEEDS = "contention"


def echo(end):
    while data := end.recv(16):
        time.sleep(0.01)
        end.sendall(data)


class Connection:
    def __init__(self, end):
        self.end, self.lock = end, threading.Lock()

    def ask(self, text):
        with self.lock:  # SITE
            self.end.sendall(text)
            return self.end.recv(16)


def test_four_ask():
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=echo, args=(theirs,))
    server.start()
    connection, answers = Connection(ours), []
    threads = [
        threading.Thread(target=lambda: answers.extend(connection.ask(b"ping") for _ in range(5))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ours.close()
    server.join()
    theirs.close()
    assert answers == [b"ping"] * 20
