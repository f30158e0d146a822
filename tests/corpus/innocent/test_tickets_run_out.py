"""Tickets from a roll of 900; with a new roll, who had the old ones is forgotten."""
import uuid

roll = list(range(900))
holders = []


def sell(who):
    if not roll:
        roll.extend(range(900))
        holders.clear()
    holders.append((roll.pop(), who))


def test_sell():
    sell(uuid.uuid4().hex)
    assert holders
