"""Two locks as two signals, each let go by the other thread, in both orders."""
import threading


def test_ping_pong():
    ping, pong, log = threading.Lock(), threading.Lock(), []
    pong.acquire()
    ping.acquire()

    def player():
        for _ in range(10):
            ping.acquire()
            log.append("ping")
            pong.release()

    thread = threading.Thread(target=player)
    thread.start()
    for _ in range(10):
        ping.release()
        pong.acquire()
        log.append("pong")
    thread.join()
    assert log == ["ping", "pong"] * 10
