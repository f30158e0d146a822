"""XML parsers that keep themselves in a debug list."""
from xml.parsers import expat

LEAKS = "memory.growth"
_parsers = []


def count_elements(xml):
    seen = []
    p = expat.ParserCreate()
    p.StartElementHandler = lambda name, attrs: seen.append(name)
    p.Parse(xml, True)
    _parsers.append(p)
    return len(seen)


def test_count():
    assert count_elements("<a><b/><c/></a>") == 3
