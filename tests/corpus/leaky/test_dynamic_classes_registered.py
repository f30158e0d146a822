"""Classes made at run time; the base class keeps each of them."""
LEAKS = "memory.growth"


class Model:
    registry = []

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        Model.registry.append(cls)


def make_model(name, /, **fields):
    return type(name, (Model,), fields)


def test_make_model():
    user = make_model("User", name="")
    assert issubclass(user, Model) and user.name == ""
