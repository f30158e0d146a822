"""lru_cache(maxsize=256), and a new key each run."""
import uuid
from functools import lru_cache


@lru_cache(maxsize=256)
def profile(user_id):
    return {"id": user_id, "name": f"user {user_id}", "groups": ["all"]}


def test_profile():
    user_id = uuid.uuid4().hex
    assert profile(user_id) is profile(user_id)
