"""Philosophers whose waiter lets all of them sit down at once."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"


def test_three():
    waiter = threading.Semaphore(3)
    forks = [threading.Lock() for _ in range(3)]
    eaten = []

    def philosopher(number):
        with waiter, forks[number], forks[(number + 1) % 3]:  # SITE
            eaten.append(number)

    for number in range(3):
        thread = threading.Thread(target=philosopher, args=(number,))
        thread.start()
        thread.join()
    assert eaten == [0, 1, 2]
