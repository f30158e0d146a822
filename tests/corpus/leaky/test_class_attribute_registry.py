"""A class attribute that remembers every instance."""
LEAKS = "memory.growth"


class Session:
    instances = []

    def __init__(self, user):
        self.user = user
        self.items = {"user": user}
        type(self).instances.append(self)


class TestSession:
    def test_has_user(self):
        assert Session("bob").items["user"] == "bob"
