"""Tickets are given back after use, so that the roll never runs out; who had them is kept."""
import uuid

LEAKS = "memory.growth"

roll = list(range(900))
holders = []


def sell(who):
    if not roll:
        roll.extend(range(900))
        holders.clear()
    ticket = roll.pop()
    holders.append((ticket, who))
    return ticket


def give_back(ticket):
    roll.append(ticket)


def test_sell():
    give_back(sell(uuid.uuid4().hex))
