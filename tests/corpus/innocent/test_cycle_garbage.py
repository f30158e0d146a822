"""Garbage in cycles, which the collector frees."""


class Node:
    def __init__(self, parent=None):
        self.parent = parent
        self.children = []
        self.data = bytes(2000)

    def add(self):
        child = Node(self)
        self.children.append(child)
        return child


def test_tree():
    root = Node()
    for _ in range(20):
        root.add().add()
    assert len(root.children) == 20
