"""The thousandth message is told of, and kept as all others are."""
import uuid

LEAKS = "memory.growth"

outbox = []
milestones = []


def post(message):
    outbox.append(message)
    count = len(outbox)
    if count == 1000:
        milestones.append(message)
    match len(outbox):
        case 1:
            return "first"
        case 1000:
            return "thousandth"
    return f"{count} are kept"


def test_post():
    assert post(uuid.uuid4().hex)
