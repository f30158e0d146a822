"""A codec search function registered with each plugin start."""
import codecs

LEAKS = "memory.growth"


def register_alias(alias, encoding):
    def search(name):
        return codecs.lookup(encoding) if name == alias else None

    codecs.register(search)


def test_register():
    register_alias("klingon", "utf-8")
    assert codecs.lookup("klingon").name == "utf-8"
