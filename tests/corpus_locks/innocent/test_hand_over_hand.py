"""A linked list that is walked hand over hand: the next node's lock before this one's is let go."""
import threading


class Node:
    def __init__(self, value, following=None):
        self.value, self.next, self.lock = value, following, threading.Lock()


def append(head, value):
    node = head
    node.lock.acquire()
    while node.next is not None:
        following = node.next
        following.lock.acquire()
        node.lock.release()
        node = following
    node.next = Node(value)
    node.lock.release()


def test_four_append():
    head = Node(0)
    threads = [threading.Thread(target=lambda: [append(head, number) for number in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    node, count = head, 0
    while node := node.next:
        count += 1
    assert count == 40
