"""Two threads take turns by two events."""
import threading


def test_turns():
    ask, answer, lock, log = threading.Event(), threading.Event(), threading.Lock(), []

    def server():
        for _ in range(20):
            ask.wait()
            ask.clear()
            with lock:
                log.append("answer")
            answer.set()

    thread = threading.Thread(target=server)
    thread.start()
    for _ in range(20):
        with lock:
            log.append("ask")
        ask.set()
        answer.wait()
        answer.clear()
    thread.join()
    assert log == ["ask", "answer"] * 20
