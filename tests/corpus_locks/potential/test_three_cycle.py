"""Three locks in a ring: no two of the threads disagree, all three together do."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

users_lock = threading.Lock()
teams_lock = threading.Lock()
roles_lock = threading.Lock()


def join_team(log):
    with users_lock, teams_lock:  # SITE
        log.append("joined")


def grant(log):
    with teams_lock, roles_lock:  # SITE
        log.append("granted")


def audit(log):
    with roles_lock, users_lock:  # SITE
        log.append("audited")


def test_all_three():
    log = []
    for work in (join_team, grant, audit):
        thread = threading.Thread(target=work, args=(log,))
        thread.start()
        thread.join()
    assert log == ["joined", "granted", "audited"]
