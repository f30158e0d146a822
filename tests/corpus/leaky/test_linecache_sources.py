"""Generated source put into linecache under a new name each time."""
import itertools
import linecache

LEAKS = "memory.growth"
_serial = itertools.count()


def compile_template(text):
    filename = "<template %d>" % next(_serial)
    source = "def render(**ctx):\n    return %r.format(**ctx)\n" % text
    linecache.cache[filename] = len(source), None, source.splitlines(True), filename
    scope = {}
    exec(compile(source, filename, "exec"), scope)
    return scope["render"]


def test_template():
    assert compile_template("hi {name}")(name="eve") == "hi eve"
