"""What a screen shows of a log: the last 100,000 characters."""


class Screen:
    def __init__(self):
        self.text = ""

    def write(self, line):
        self.text = (self.text + line + "\n")[-100_000:]


screen = Screen()


def test_a_line_is_shown():
    screen.write("GET /index.html 200 " + "-" * 60)
    assert screen.text.endswith("-\n")
