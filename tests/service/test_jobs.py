"""The queue: who comes next, who is refused."""

import queue
import threading

import pytest

from ganpaint_engine.errors import BadRequest, QueueFull
from ganpaint_engine.service.jobs import Bounds, Job, JobQueue

ROOMY = Bounds(64, 10_000, 64, 10_000)


def job(job_id="a", owner=b"p", size=1, quality="final", **keys):
    request = {"job_id": job_id, "op": "edit", "params": {"quality": quality}}
    request |= {"slot": None, "keep_result": False, "keep_photo": True, **keys}
    return Job(owner, owner, request, [bytes(size)])


def preview(job_id="a", owner=b"p", **keys):
    return job(job_id, owner, quality="preview", **keys)


def filled(*jobs, bounds=ROOMY):
    waiting = JobQueue(bounds)
    for one in jobs:
        waiting.add(one)
    return waiting


def ids(jobs):
    return [one.job_id for one in jobs]


def test_one_clients_jobs_come_in_its_order_one_at_a_time():
    first, second = job("1"), job("2")
    waiting = filled(first, second)
    assert waiting.next() is first
    waiting.finished(second)  # not begun: nothing changes
    assert waiting.active == [first]
    waiting.finished(first)
    assert waiting.next() is second


def test_clients_take_turns():
    waiting = filled(*(job(f"a{i}", b"a") for i in range(3)), job("b0", b"b"), job("c0", b"c"))
    assert ids(waiting.waiting()) == ["a0", "b0", "c0", "a1", "a2"]
    served = [waiting.next()]
    waiting.finished(served[0])
    waiting.add(job("d0", b"d"))  # a newcomer comes after those who waited, before a second turn
    waiting.add(job("b1", b"b"))
    while len(waiting):
        one = waiting.next()
        served.append(one)
        waiting.finished(one)
    assert ids(served) == ["a0", "b0", "c0", "a1", "d0", "b1", "a2"]


def test_positions_are_the_turns_that_come_before():
    waiting = filled(job("a0", b"a"), job("a1", b"a"), job("b0", b"b"))
    waiting.next()
    late = preview("b1", b"b")
    waiting.add(late)
    positions = {one.job_id: place for one, place in waiting.positions().items()}
    # the preview passes the final that runs; the finals come after that final and the preview
    assert positions == {"b1": 0, "b0": 2, "a1": 3}


def quick(job):
    return job.job_id.startswith("quick")


def test_any_preview_passes_a_final_and_a_quick_one_passes_a_preview():
    final, other = job("f"), job("g")
    waiting = filled(final, other)
    assert waiting.next() is final
    assert waiting.next_passing(final, quick) is None
    slow, second, third = preview("slow"), preview("slow too"), preview("quick")
    for one in (slow, second, third):
        waiting.add(one)
    assert waiting.next_passing(final, quick) is slow
    assert waiting.next_passing(slow, quick) is third
    assert waiting.next_passing(slow, quick) is None
    assert waiting.active == [final, slow, third]
    waiting.finished(final)  # whichever ends first
    assert waiting.next() is other


def test_a_quick_preview_does_not_pass_a_quick_one():
    waiting = filled(preview("quick 1"), preview("quick 2", b"other"))
    first = waiting.next()
    assert waiting.next_passing(first, quick) is None


def test_only_previews_that_waited_before_the_step_pass():
    early, late = preview("early"), preview("late")
    waiting = filled(job("f"))
    final = waiting.next()
    early.submitted, late.submitted = 1.0, 3.0
    waiting.add(early)
    waiting.add(late)
    assert waiting.next_passing(final, quick, before=2.0) is early
    waiting.finished(early)
    assert waiting.next_passing(final, quick, before=2.0) is None
    assert waiting.next_passing(final, quick, before=4.0) is late


def test_a_final_is_begun_although_previews_never_end():
    waiting = filled(preview("0"), job("f"))
    final = waiting.next()
    assert final.job_id == "f"
    for number in range(5):
        assert waiting.next_passing(final, quick).job_id == str(number)
        waiting.add(preview(str(number + 1)))
        waiting.finished(waiting.active[-1])


def test_next_waits_for_a_job_and_ends_when_the_queue_is_closed():
    waiting = JobQueue(ROOMY)
    taken = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: [taken.put(waiting.next()) for _ in range(2)])
    thread.start()
    late = job("late")
    waiting.add(late)
    assert taken.get(timeout=20) is late
    waiting.close()
    assert taken.get(timeout=20) is None
    thread.join()


def test_a_live_id_is_refused_and_a_finished_one_may_come_again():
    waiting = filled(job("1"))
    with pytest.raises(BadRequest):
        waiting.add(job("1"))
    waiting.add(job("1", b"other"))
    waiting.finished(waiting.next())
    waiting.add(job("1"))


@pytest.mark.parametrize(
    ("bounds", "owner"),
    [
        (Bounds(2, 1000, 64, 1000), b"other"),
        (Bounds(64, 1000, 2, 1000), b"p"),
        (Bounds(64, 20, 64, 1000), b"other"),
        (Bounds(64, 1000, 64, 20), b"p"),
    ],
)
def test_bounded_in_jobs_and_bytes_in_all_and_of_one_client(bounds, owner):
    waiting = filled(job("1", size=10), job("2", size=10), bounds=bounds)
    waiting.next()  # one that was begun still counts
    with pytest.raises(QueueFull):
        waiting.add(job("3", owner, size=10))
    waiting.finished(waiting.active[0])
    waiting.add(job("3", owner, size=10))


def test_what_a_job_takes_the_place_of_does_not_keep_it_out():
    old = preview("1")
    waiting = filled(old, bounds=Bounds(1, 1000, 1, 1000))
    with pytest.raises(QueueFull):
        waiting.add(preview("2"))
    waiting.add(preview("2"), instead_of=[old])


def test_a_waiting_job_can_be_taken_out_and_a_begun_one_cannot():
    first, second = job("1"), job("2")
    waiting = filled(first, second)
    waiting.next()
    assert waiting.remove(second)
    assert not waiting.remove(first)
    assert waiting.live() == [first]


def test_the_first_reason_to_stop_counts():
    one = job()
    one.stop({"type": "SUPERSEDED", "by": "x"})
    one.stop({"type": "CANCELLED"})
    assert one.ending["type"] == "SUPERSEDED"
