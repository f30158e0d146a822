import pytest
from shortlinks import audit
from shortlinks.audit import AuditLog, Recorder


def test_refusals_are_counted() -> None:
    log = AuditLog()
    log.refused("ftp://example.org/", "not a web address")
    log.refused("https://spam.example/", "blocked")
    log.close()
    assert log.counter.counts == {"INFO": 0, "WARNING": 2, "ERROR": 0}


def test_the_last_recording_is_replayed() -> None:
    recorder = Recorder()
    recorder.record(b"GET /abc\n")
    recorder.record(b"GET /def\n")

    assert recorder.stop() == 18
    assert audit.replay(18) == b"GET /abc\nGET /def\n"


def test_a_recording_has_an_end() -> None:
    recorder = Recorder(size=4)
    with pytest.raises(OverflowError):
        recorder.record(b"GET /abc\n")
