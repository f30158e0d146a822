"""What happens with a message depends on how many there are."""
import uuid

outbox = []


def post(message):
    outbox.append(message)
    match len(outbox):
        case 1:
            return "first"
        case 1000:
            outbox.clear()
            return "sent"
    return "kept"


def test_post():
    assert post(uuid.uuid4().hex) in ("first", "sent", "kept")
