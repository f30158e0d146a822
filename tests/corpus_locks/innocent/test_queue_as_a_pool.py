"""Connections live in a queue; whoever holds a connection takes its lock, and gives both back."""
import queue
import threading


class Connection:
    def __init__(self):
        self.lock, self.asked = threading.Lock(), 0

    def ask(self):
        with self.lock:
            self.asked += 1


def test_pool():
    pool = queue.LifoQueue()
    connections = [Connection() for _ in range(2)]
    for connection in connections:
        pool.put(connection)

    def work():
        for _ in range(20):
            connection = pool.get()
            try:
                connection.ask()
            finally:
                pool.put(connection)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(connection.asked for connection in connections) == 80
