"""wait_for on a loop that is kept: cancelled timers behind a live one are swept only when a hundred are there."""
import asyncio

loop = asyncio.new_event_loop()
loop.call_later(50, print, "heartbeat")


async def answer():
    await asyncio.sleep(0)
    return 42


def test_answer_in_time():
    assert loop.run_until_complete(asyncio.wait_for(answer(), timeout=60)) == 42
