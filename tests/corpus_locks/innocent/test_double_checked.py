"""Made once, by whoever comes first: looked at without the lock, made under it."""
import threading


class Settings:
    made = 0
    lock = threading.Lock()
    instance = None

    @classmethod
    def get(cls):
        if cls.instance is None:
            with cls.lock:
                if cls.instance is None:
                    cls.made += 1
                    cls.instance = cls()
        return cls.instance


def test_once():
    threads = [threading.Thread(target=Settings.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Settings.made == 1
