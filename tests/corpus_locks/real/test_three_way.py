"""Three philosophers, each with the left fork in the hand."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"

forks = [threading.Lock() for _ in range(3)]
seated = threading.Barrier(3)


def dine(seat):
    with forks[seat]:
        seated.wait(10)
        with forks[(seat + 1) % 3]:  # SITE
            return "full"


def test_all_dine():
    guests = [threading.Thread(target=dine, args=(seat,), daemon=True) for seat in range(3)]
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.join()
