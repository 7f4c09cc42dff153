import queue

import pytest

from ganpaint_engine.errors import BadRequest, Busy, Cancelled, UnknownModel
from ganpaint_engine.service.jobs import Job, JobQueue, Result, Worker, failure


def job(job_id="a", peer=b"p", size=1):
    return Job(peer, job_id, "edit", {}, [bytes(size)])


def test_first_come_first_served_one_at_a_time():
    jobs = JobQueue(8, 1000)
    first, second = job("1"), job("2")
    jobs.add(first)
    jobs.add(second)
    assert jobs.start_next() is first
    assert jobs.start_next() is None
    jobs.finished(second)  # not the running one: nothing changes
    assert jobs.running is first
    jobs.finished(first)
    assert jobs.start_next() is second


def test_a_live_id_is_refused_and_a_finished_one_may_come_again():
    jobs = JobQueue(8, 1000)
    jobs.add(job("1"))
    with pytest.raises(BadRequest):
        jobs.add(job("1"))
    jobs.add(job("1", peer=b"other"))
    jobs.finished(jobs.start_next())
    jobs.add(job("1"))


def test_bounded_in_jobs():
    jobs = JobQueue(2, 1000)
    jobs.add(job("1"))
    jobs.start_next()
    jobs.add(job("2"))
    with pytest.raises(Busy):
        jobs.add(job("3"))


def test_bounded_in_bytes_but_one_may_always_wait():
    jobs = JobQueue(8, 100)
    jobs.add(job("1", size=500))
    with pytest.raises(Busy):
        jobs.add(job("2", size=1))
    jobs.start_next()
    jobs.add(job("2", size=100))


def test_cancel_takes_a_waiting_job_out_and_flags_a_running_one():
    jobs = JobQueue(8, 1000)
    first, second = job("1"), job("2")
    jobs.add(first)
    jobs.add(second)
    jobs.start_next()
    assert jobs.cancel(second)
    assert not jobs.cancel(first)
    assert first.cancelled.is_set()
    assert jobs.live() == [first]


class TorchOutOfMemoryError(RuntimeError):
    pass


TorchOutOfMemoryError.__name__ = "OutOfMemoryError"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownModel("x"), "unknown_model"),
        (MemoryError(), "out_of_memory"),
        (TorchOutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (ZeroDivisionError("x"), "internal"),
    ],
)
def test_every_exception_has_a_code(error, code):
    assert failure(error).code == code


def test_a_job_flagged_before_its_start_is_never_worked_on():
    said = queue.Queue()
    worker = Worker(
        {"edit": lambda *_: pytest.fail("worked on")},
        lambda job, header, frames: said.put(header["type"]),
        lambda: None,
    )
    worker.start()
    flagged = job()
    flagged.cancelled.set()
    worker.take(flagged)
    assert said.get(timeout=10) == "CANCELLED"
    assert worker.stop(10)


def test_the_worker_survives_a_failed_warm_up_and_lets_go_of_pictures():
    said = queue.Queue()

    def warm_up():
        raise OSError("no model")

    worker = Worker(
        {"edit": lambda job, progress: Result({}, [b"patch"])},
        lambda job, header, frames: said.put((header["type"], frames)),
        warm_up,
    )
    worker.start()
    done = job(size=1000)
    worker.take(done)
    assert said.get(timeout=10)[0] == "PROGRESS"
    assert said.get(timeout=10) == ("RESULT", [b"patch"])
    assert worker.stop(10)
    assert done.frames == []


def test_progress_stops_a_cancelled_job_at_the_next_step():
    reached = []

    def handler(job, progress):
        for step in range(10):
            progress(step / 10, "x")
            reached.append(step)
            if step == 3:
                job.cancelled.set()
        return Result({}, [])

    worker = Worker({"edit": handler}, lambda *_: None, lambda: None)
    header, _ = worker._work(job())
    assert header["type"] == "CANCELLED"
    assert reached == [0, 1, 2, 3]
    assert issubclass(Cancelled, Exception)
