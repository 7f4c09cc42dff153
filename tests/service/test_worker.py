"""The worker's thread: steps, stops, and previews that pass."""

import queue
import threading

import pytest
from test_jobs import ROOMY, job, preview

from ganpaint_engine.errors import UnknownModel
from ganpaint_engine.service.jobs import JobQueue, Result
from ganpaint_engine.service.worker import Work, Worker, failure

PATIENCE = 20
CANCELLED = {"type": "CANCELLED"}


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


class Told(queue.Queue):
    """What a worker reports, as (job_id, type)."""

    def __call__(self, job, header, frames):
        self.put((job.job_id, header["type"], header, frames))

    def next(self):
        return self.get(timeout=PATIENCE)

    def last(self):
        """The next message that ends a job."""
        while (news := self.next())[1] == "PROGRESS":
            pass
        return news


def working(handler, told, warm_up=lambda: None, is_quick=lambda job: False):
    worker = Worker(Work({"edit": handler}, dict, warm_up, is_quick=is_quick), waiting(), told)
    worker.take = worker._jobs.add
    worker.start()
    return worker


def waiting():
    return JobQueue(ROOMY)


def work_on(handler, one, told=lambda *_: None):
    """The last message about one job, worked on in this thread."""
    return Worker(Work({"edit": handler}, dict), waiting(), told)._work(one)


def test_a_job_stopped_before_its_start_is_never_worked_on():
    told = Told()
    worker = working(lambda *_: pytest.fail("worked on"), told)
    stopped = job()
    stopped.stop(CANCELLED)
    worker.take(stopped)
    assert told.next()[1] == "CANCELLED"
    assert worker.stop(PATIENCE)


def test_the_worker_survives_a_failed_warm_up_and_lets_go_of_pictures():
    told = Told()

    def warm_up():
        raise OSError("no model")

    worker = working(lambda job, progress: Result({}, [b"patch"]), told, warm_up)
    done = job(size=1000)
    worker.take(done)
    assert told.next()[1] == "PROGRESS"
    assert told.next()[1::2] == ("RESULT", [b"patch"])
    assert worker.stop(PATIENCE)
    assert done.frames == []


@pytest.mark.parametrize("ending", [CANCELLED, {"type": "SUPERSEDED", "by": "b"}])
def test_a_stopped_job_ends_at_its_next_step(ending):
    reached = []

    def handler(job, progress):
        for step in range(10):
            progress(step / 10, "x")
            reached.append(step)
            if step == 3:
                job.stop(ending)
        return Result({}, [])

    header, _ = work_on(handler, job())
    assert header == ending
    assert reached == [0, 1, 2, 3]


def test_progress_never_falls_and_knows_how_long_it_will_take():
    told = Told()

    def handler(job, progress):
        for fraction in (0.2, 0.1, 0.5, 7.0):
            progress(fraction, f"stage {fraction}")
        return Result({}, [])

    work_on(handler, job(), told)
    news = [told.next()[2] for _ in range(5)]
    assert [one["fraction"] for one in news] == [0.0, 0.2, 0.2, 0.5, 1.0]
    assert news[0]["eta"] is None
    assert all(one["eta"] >= 0 for one in news[1:])
    assert news[-1]["eta"] == 0


class Steps:
    """A handler whose final edits wait for leave at every step, and note the order of all steps."""

    def __init__(self):
        self.log = []
        self.leave = threading.Semaphore(0)
        self.at = threading.Semaphore(0)

    def __call__(self, job, progress):
        for step in range(6 if job.quality == "final" else 1):
            if job.quality == "final":
                self.at.release()
                assert self.leave.acquire(timeout=PATIENCE)
            self.log.append((job.job_id, step))
            progress(step / 6, "step")
        return Result({}, [])

    def step(self):
        assert self.at.acquire(timeout=PATIENCE)
        self.leave.release()


def test_all_waiting_previews_pass_a_final_within_a_step_and_the_final_goes_on():
    told, steps = Told(), Steps()
    worker = working(steps, told)
    worker.take(job("final"))
    steps.step()
    assert steps.at.acquire(timeout=PATIENCE)  # the final is in the middle of its second step
    for number in range(5):
        worker.take(preview(str(number), owner=b"%d" % number))
    steps.leave.release()
    assert [told.last()[:2] for _ in range(5)] == [(str(n), "RESULT") for n in range(5)]
    for _ in range(4):
        steps.step()
    assert told.last()[:2] == ("final", "RESULT")
    order = [who for who, _ in steps.log]
    assert order == ["final"] * 2 + list("01234") + ["final"] * 4
    assert worker.stop(PATIENCE)


def test_a_final_makes_a_step_however_many_previews_come():
    """Each preview is followed by the next at once: between two there is a step all the same."""
    order = []

    def handler(job, progress):
        for step in range(1 if job.quality == "preview" else 4):
            if job.quality == "preview" or step == 0:
                worker.take(preview(f"preview {len(order)}"))
            order.append(job.job_id.split()[0])
            progress(step / 4, "step")
        return Result({}, [])

    told = Told()
    worker = working(handler, told)
    worker.take(job("final"))
    while told.last()[0] != "final":
        pass
    assert order[:8] == ["final", "preview"] * 4
    assert worker.stop(PATIENCE)


def test_no_quick_preview_waits_for_one_that_came_later():
    """Were each passed at its first step by the next, the first of sixteen would end last."""
    order = []

    def handler(job, progress):
        if job.job_id == "0":
            for number in range(1, 6):
                worker.take(preview(str(number), owner=b"%d" % number))
        for step in range(3):
            progress(step / 3, "step")
        order.append(job.job_id)
        return Result({}, [])

    told = Told()
    worker = working(handler, told, is_quick=lambda job: True)
    worker.take(preview("0"))
    assert [told.last()[0] for _ in range(6)] == list("012345") == order
    assert worker.stop(PATIENCE)


def test_a_preview_does_not_pass_a_preview():
    order = []

    def handler(job, progress):
        if job.job_id == "first":
            worker.take(preview("second"))
        for step in range(3):
            progress(step / 3, "step")
        order.append(job.job_id)
        return Result({}, [])

    told = Told()
    worker = working(handler, told)
    worker.take(preview("first"))
    assert [told.last()[0], told.last()[0]] == ["first", "second"] == order
    assert worker.stop(PATIENCE)


def test_a_quick_preview_passes_one_that_opens_its_photo():
    order = []

    def handler(job, progress):
        for step in range(1 if job.job_id == "quick" else 4):
            if job.job_id == "final" and step == 0:
                worker.take(preview("opens"))
            if job.job_id == "opens" and step == 1:
                worker.take(preview("opens too"))
                worker.take(preview("quick"))
            progress(step / 4, f"step {step}")
            order.append(job.job_id)
        return Result({}, [])

    told = Told()
    worker = working(handler, told, is_quick=lambda job: job.job_id == "quick")
    worker.take(job("final"))
    assert [told.last()[0] for _ in range(4)] == ["quick", "opens", "opens too", "final"]
    assert order.index("quick") == 1, "two previews deep, at the next step"
    assert worker.stop(PATIENCE)


def test_a_final_stopped_while_a_preview_passes_makes_no_further_step():
    told = Told()
    final, steps = job("final"), []

    def handler(job, progress):
        if job.quality == "preview":
            final.stop(CANCELLED)
            return Result({}, [])
        for step in range(5):
            steps.append(step)
            if step == 2:
                worker.take(preview("preview"))
            progress(step / 5, "step")
        return Result({}, [])

    worker = working(handler, told)
    worker.take(final)
    assert told.last()[:2] == ("preview", "RESULT")
    assert told.last()[:2] == ("final", "CANCELLED")
    assert steps == [0, 1, 2]
    assert worker.stop(PATIENCE)


def test_a_preview_without_memory_beside_a_paused_final_is_done_after_it():
    told, tries = Told(), []

    def handler(job, progress):
        if job.quality == "preview":
            tries.append(len(job.frames[0]))
            if len(tries) == 1:
                raise MemoryError
            return Result({}, [])
        worker.take(preview("preview", size=7))
        progress(0.5, "step")
        return Result({}, [])

    worker = working(handler, told)
    worker.take(job("final"))
    assert told.last()[:2] == ("final", "RESULT")
    assert told.last()[:2] == ("preview", "RESULT")
    assert tries == [7, 7], "its pictures were still there"
    assert worker.stop(PATIENCE)


def test_a_failing_preview_leaves_the_paused_final_alone():
    told = Told()

    def handler(job, progress):
        if job.quality == "preview":
            raise ZeroDivisionError
        worker.take(preview("preview"))
        progress(0.5, "step")
        return Result({}, [])

    worker = working(handler, told)
    worker.take(job("final"))
    assert told.last()[2]["code"] == "internal"
    assert told.last()[:2] == ("final", "RESULT")
    assert worker.stop(PATIENCE)


def test_work_ahead_is_done_while_nothing_waits_and_yields_to_any_job():
    told, more, stopped = Told(), [True], []
    started, done = threading.Event(), threading.Event()

    def go_on(on_step):
        started.set()
        try:
            for _ in range(10**6):
                on_step(0.5, "ahead")
                if done.wait(0.001):
                    more.clear()
                    return
        except BaseException as error:
            stopped.append(error)
            raise

    work = Work(
        {"edit": lambda job, progress: Result({}, [])},
        dict,
        has_more=lambda: bool(more),
        go_on=go_on,
    )
    worker = Worker(work, waiting(), told)
    worker.start()
    assert started.wait(PATIENCE)
    started.clear()
    worker._jobs.add(job("one"))
    assert told.last()[1] == "RESULT"
    assert len(stopped) == 1
    assert started.wait(PATIENCE), "it is taken up again"
    done.set()
    worker._jobs.add(job("two"))
    assert told.last()[1] == "RESULT"
    assert worker.stop(PATIENCE)


def test_work_ahead_that_fails_ends_nothing():
    told, more = Told(), [True]

    def go_on(on_step):
        more.clear()
        raise ZeroDivisionError

    work = Work(
        {"edit": lambda job, progress: Result({}, [])},
        dict,
        has_more=lambda: bool(more),
        go_on=go_on,
    )
    worker = Worker(work, waiting(), told)
    worker.start()
    worker._jobs.add(job("one"))
    assert told.last()[1] == "RESULT"
    assert worker.stop(PATIENCE)
