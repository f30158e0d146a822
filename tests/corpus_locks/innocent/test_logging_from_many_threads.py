"""Many threads log to two handlers, each under a lock of its own."""
import io
import logging
import threading


def test_lines():
    log, streams = logging.getLogger("corpus.many"), [io.StringIO(), io.StringIO()]
    handlers = [logging.StreamHandler(stream) for stream in streams]
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in handlers:
        log.addHandler(handler)

    def work(lock):
        for number in range(20):
            with lock:
                log.info("line %d", number)

    threads = [threading.Thread(target=work, args=(threading.Lock(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for handler in handlers:
        log.removeHandler(handler)
    log.propagate = True
    assert [len(stream.getvalue().splitlines()) for stream in streams] == [80, 80]
