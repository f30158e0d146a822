"""One module-wide dictionary that grows and shrinks."""
import random

index = {}


def test_churn():
    n = random.randrange(50, 500)
    for i in range(n):
        index[i] = str(i)
    for i in range(n):
        del index[i]
    assert not index
