import pytest
from shortlinks import client
from shortlinks.client import Client
from shortlinks.server import HealthServer, LinkServer
from shortlinks.store import Store


def test_a_link_is_followed(store: Store, server: LinkServer) -> None:
    code = store.add("https://example.org/")
    assert client.get_status(server.address, f"/{code}") == 302


@pytest.mark.parametrize("path", ["/", "/zzz"])
def test_unknown_links_are_not_found(server: LinkServer, path: str) -> None:
    assert client.get_status(server.address, path) == 404


def test_a_client_shortens_and_resolves(server: LinkServer) -> None:
    browser = Client(server.address)
    code = browser.shorten("https://example.org/long/way")

    assert browser.resolve(code) == "https://example.org/long/way"
    browser.close()
    assert browser.closed


def test_health() -> None:
    health = HealthServer()
    health.start()
    assert client.get_status(health.address, "/health") == 200
    health.stop()
