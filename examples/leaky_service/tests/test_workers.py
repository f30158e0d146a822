from __future__ import annotations

from shortlinks import workers
from shortlinks.workers import WorkerPool


def test_jobs_are_finished_before_the_pool_stops() -> None:
    done: list[int] = []
    pool = WorkerPool(3)
    for number in range(10):
        pool.submit(done.append, number)
    pool.stop()
    assert sorted(done) == list(range(10))


def test_results_are_collected() -> None:
    results: list[int] = []
    pool = WorkerPool(2, on_result=results.append)
    pool.submit(pow, 2, 10)
    pool.submit(pow, 3, 2)
    pool.stop()
    assert sorted(results) == [9, 1024]


def test_a_preview_has_three_bytes_a_pixel() -> None:
    assert workers.run_job("preview", workers.render_preview, 64, 64) == 12288


def test_a_failed_job_says_why() -> None:
    assert workers.run_job("preview", workers.render_preview, 200, 20) is None
    assert workers.last_error("preview") == "ValueError: too wide for a preview"
