"""A function fixture that appends to a module list and has no teardown."""
import pytest

LEAKS = "memory.growth"

created_users = []


@pytest.fixture
def user():
    u = {"id": len(created_users), "name": "user", "roles": ["a", "b"]}
    created_users.append(u)
    return u


@pytest.fixture
def admin(user):
    return dict(user, admin=True)


def test_admin(admin):
    assert admin["admin"]
