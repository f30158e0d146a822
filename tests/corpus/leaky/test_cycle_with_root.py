"""Nodes that point to their parent, hung onto a root that is kept."""
LEAKS = "memory.growth"


class Node:
    def __init__(self, parent=None):
        self.parent = parent
        self.children = []
        if parent is not None:
            parent.children.append(self)


ROOT = Node()


def build_branch():
    branch = Node(ROOT)
    for _ in range(3):
        Node(branch)
    return branch


def test_branch():
    assert len(build_branch().children) == 3
