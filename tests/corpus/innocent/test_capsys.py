"""Prints a lot, captured."""


def report(n):
    for i in range(n):
        print("line", i, "." * 60)


def test_report(capsys):
    report(100)
    assert capsys.readouterr().out.count("\n") == 100
