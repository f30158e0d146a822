"""A cache that is bounded by the bytes in it, which takes two thousand pages."""

import itertools

_urls = itertools.count()


class Pages:
    def __init__(self, most):
        self.most, self.used, self.pages = most, 0, {}

    def put(self, url, page):
        self.pages[url] = page
        self.used += len(page)
        while self.used > self.most:
            _, oldest = self.pages.popitem()
            self.used -= len(oldest)


pages = Pages(2000 * 400)


def test_a_page_is_kept():
    url = f"/{next(_urls)}"
    pages.put(url, bytes(400))
    assert url in pages.pages
