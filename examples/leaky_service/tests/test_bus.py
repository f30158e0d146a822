from shortlinks import bus
from shortlinks.bus import Dashboard


def test_the_dashboard_counts_clicks() -> None:
    dashboard = Dashboard()
    bus.publish("click", 9)
    bus.publish("click", 9)
    bus.publish("click", 17)
    dashboard.close()

    assert dashboard.clicks[9] == 2
    assert dashboard.clicks[17] == 1
    assert not dashboard.is_open


def test_nobody_listens_after_unsubscribe() -> None:
    heard: list[int] = []
    bus.subscribe("removed", heard.append)
    assert bus.publish("removed", 1) == 1
    bus.unsubscribe("removed", heard.append)

    assert bus.publish("removed", 2) == 0
    assert heard == [1]
