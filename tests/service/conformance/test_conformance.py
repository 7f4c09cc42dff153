"""What docs/protocol.md promises, asked of two clients against the engine and against the stub."""

import time

import numpy as np
import pytest
from conftest import new_scene
from engines import request
from peers import LAST

from ganpaint_engine.client import Client
from ganpaint_engine.service import protocol, stub
from ganpaint_engine.service.protocol_messages import MAX_LOOK_SIDE

TREE = {"concept": "tree", "operation": "add"}


@pytest.fixture
def ask(model):
    """Submits an edit with a model that is there."""

    def ask(peer, scene, **options):
        return peer.submit(*scene, **{**TREE, "model": model, **options})

    return ask


def last(peer, job):
    return list(peer.news(job))[-1]


def progress_of(peer, job):
    """Read a job's news until it makes progress beyond its start."""
    news = peer.news(job)
    for one in news:
        assert one[0] not in LAST, one
        if one[0] == "progress" and one[1] > 0:
            return news
    raise AssertionError("no progress")


def test_welcome(peer):
    welcome = peer.welcome
    assert welcome["protocol"] == protocol.VERSION
    assert welcome["limits"] == protocol.LIMITS
    assert set(welcome["capabilities"]) == set(protocol.CAPABILITIES)
    names = [model["name"] for model in welcome["models"]]
    assert welcome["default_model"] in names
    for model in welcome["models"]:
        assert model["resolution"] > 0
        assert all(isinstance(concept, str) for concept in model["concepts"])


@pytest.mark.parametrize("quality", ["preview", "final"])
def test_from_queued_to_a_result(peer, ask, scene, quality):
    *before, (kind, patch) = list(peer.news(ask(peer, scene, quality=quality, seed=7)))
    assert before[0] == ("queued", 0)
    assert kind == "result"
    running = [one for one in before if one[0] == "progress"]
    assert running[0][1:] == (0.0, "starting", None, ())
    fractions = [one[1] for one in running]
    assert fractions == sorted(fractions)
    assert fractions[-1] <= 1
    assert {one[2] for one in running} <= set(protocol.STAGES)
    etas = [one[3] for one in running if one[1] >= 0.2]
    assert etas or quality == "preview"
    assert all(0 <= eta < 600 for eta in etas)
    assert patch.name == "Add tree"
    assert patch.report["seed"] == 7
    assert patch.report["quality"] == quality
    height, width, _ = patch.rgba.shape
    x, y = patch.offset
    assert 0 <= x <= 40
    assert 0 <= y <= 28
    assert x + width >= 90
    assert y + height >= 70


def test_the_same_request_has_the_same_result(peer, ask, scene):
    one, two, other = (last(peer, ask(peer, scene, seed=seed))[1] for seed in (1, 1, 2))
    assert np.array_equal(one.rgba, two.rgba)
    assert one.offset == two.offset
    assert not np.array_equal(one.rgba, other.rgba)


@pytest.mark.parametrize("channels", [3, 4])
def test_the_stubs_results_are_the_function_it_documents(peer, ask, kind, channels):
    if kind != "stub":
        pytest.skip("the engine's results are a model's")
    image, mask = new_scene(channels)
    for seed, strength in ((0, 1.0), (5, 0.5), (1, 2.0)):
        job = ask(peer, (image, mask), seed=seed, strength=strength)
        patch = last(peer, job)[1]
        expected, offset = stub.paint(image, mask, strength, seed)
        assert np.array_equal(patch.rgba, expected)
        assert patch.offset == offset == (40, 28)


def test_transparency_is_taken(peer, ask):
    assert last(peer, ask(peer, new_scene(4), quality="preview"))[0] == "result"


def test_each_job_hears_its_own_news(peer, ask, scene):
    jobs = {ask(peer, scene, seed=seed, quality="preview"): seed for seed in range(6)}
    for job in reversed(jobs):
        assert last(peer, job)[1].report["seed"] == jobs[job]


@pytest.mark.parametrize("default", [True, False])
def test_the_looks_have_thumbnails_also_while_a_job_runs(peer, ask, scene, model, kind, default):
    job = ask(peer, scene)
    progress_of(peer, job)
    found = peer.looks(None if default else model)
    name = peer.welcome["default_model"] if default else model
    (about,) = (one for one in peer.welcome["models"] if one["name"] == name)
    named = {(c, look) for c, looks in about["variants"].items() for look in looks}
    assert set(found) == (named if default or kind == "stub" else set())  # the small model has none
    for pixels in found.values():
        assert pixels.shape[2] == 3
        assert max(pixels.shape) <= MAX_LOOK_SIDE
    if kind == "stub":
        assert tuple(found["tree", "autumn"][0, 0]) == stub.LOOK_COLOURS["autumn"]
    peer.cancel(job)


def test_looks_of_an_unknown_model_are_refused_and_jobs_go_on(peer, ask, scene):
    job = ask(peer, scene)
    assert peer.looks("no such model") == "unknown_model"
    assert last(peer, job)[0] == "result"


def test_a_warning_is_told_once_and_before_the_work(peer, ask, scene, kind):
    if kind != "stub":
        pytest.skip("whether the engine warns depends on its model")
    *before, (_, patch) = peer.news(ask(peer, scene, concept="unlike"))
    told = [one for one in before if one[0] == "progress" and one[4]]
    assert [one[4] for one in told] == [(stub.WARNING,)]
    assert told[0][1] < 0.2
    assert patch.report["warnings"] == [stub.WARNING]


OPTIONS = {"context": "selection", "grow": -3, "feather": 2.5, "composite": "poisson"}


def test_the_stub_tells_what_was_asked(peer, ask, scene, kind):
    if kind != "stub":
        pytest.skip("which of them a model's edit reports is tested with the session")
    patch = last(peer, ask(peer, scene, variant="autumn", **OPTIONS))[1]
    assert {**patch.report, **OPTIONS, "variant": "autumn"} == patch.report


# -- stopping --------------------------------------------------------------------------------------


def test_a_running_job_stops_when_it_is_cancelled(peer, ask, scene):
    job = ask(peer, scene)
    news = progress_of(peer, job)
    peer.cancel(job)
    peer.cancel(job)
    assert list(news)[-1] == ("cancelled",)
    peer.cancel(job)  # of a job that is no more
    peer.cancel("never heard of")
    assert last(peer, ask(peer, scene, quality="preview"))[0] == "result"


def test_a_waiting_job_is_cancelled_at_once(peer, ask, scene):
    first, second = ask(peer, scene), ask(peer, scene)
    peer.cancel(second)
    assert last(peer, second) == ("cancelled",)
    assert last(peer, first)[0] == "result"


def test_closing_the_connection_cancels(connect, ask, scene):
    leaving = connect()
    progress_of(leaving, ask(leaving, scene))
    with Client.connect() as other:
        cancelled = other.stats()["jobs"]["cancelled"]
        leaving.close()
        deadline = time.monotonic() + 60
        while other.stats()["jobs"]["cancelled"] == cancelled:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_nobody_cancels_or_sees_another_clients_job(connect, ask, scene):
    mine, other = connect(), connect()
    job = ask(mine, scene, job_id="same")
    other.cancel("same")
    other.fetch("same")
    assert last(other, "same") == ("failed", "unknown_job")
    assert last(mine, job)[0] == "result"


# -- order -----------------------------------------------------------------------------------------


def test_newer_previews_supersede_those_of_their_slot(peer, ask):
    for _ in range(5):  # an engine that is done with each before the next one comes is no fault
        busy = ask(peer, new_scene())
        jobs = [ask(peer, new_scene(), quality="preview", slot="layer") for _ in range(4)]
        beside = ask(peer, new_scene(), quality="preview", slot="another")
        ends = [last(peer, job)[0] for job in jobs]
        assert ends[-1] == "result"
        assert set(ends[:-1]) <= {"superseded", "result"}
        assert last(peer, beside)[0] == "result"
        assert last(peer, busy)[0] == "result", "finals are never superseded"
        if "superseded" in ends:
            return
    raise AssertionError("nothing was superseded")


def test_a_preview_passes_a_final_that_runs(connect, ask):
    slow, quick = connect(), connect()
    scene = new_scene()
    assert last(quick, ask(quick, scene, quality="preview"))[0] == "result"
    finals = [ask(slow, new_scene()) for _ in range(3)]
    progress_of(slow, finals[0])
    assert last(quick, ask(quick, scene, quality="preview"))[0] == "result"
    with Client.connect() as other:
        jobs = other.stats()["jobs"]
        assert jobs["running"] + jobs["queued"] >= 1, "the finals were not done yet"
    assert [last(slow, job)[0] for job in finals] == ["result"] * 3


def test_a_full_share_of_the_queue(peer, ask, scene):
    most = peer.welcome["limits"]["max_client_jobs"]
    jobs = [ask(peer, scene) for _ in range(most)]
    assert last(peer, ask(peer, scene)) == ("failed", "queue_full")
    for job in jobs:
        peer.cancel(job)
    assert {last(peer, job)[0] for job in jobs} <= {"cancelled", "result"}
    assert last(peer, ask(peer, scene, quality="preview"))[0] == "result"


# -- coming back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [False, True], ids=["while it runs", "when it is done"])
def test_a_kept_result_is_fetched_after_a_reconnection(connect, ask, scene, wait):
    first = connect()
    job = ask(first, scene, seed=3, keep_result=True)
    if wait:
        assert last(first, job)[0] == "result"
    else:
        progress_of(first, job)
    first.close()
    thief = connect()
    thief.fetch(job)
    assert last(thief, job) == ("failed", "unknown_job")
    again = connect(secret=first.secret)
    again.fetch(job)
    kind, patch = last(again, job)
    assert kind == "result"
    assert patch.report["seed"] == 3
    expected = last(again, ask(again, scene, seed=3))[1]
    assert np.array_equal(patch.rgba, expected.rgba)


def test_what_was_not_to_be_kept_cannot_be_fetched(connect, ask, scene):
    first = connect()
    job = ask(first, scene, quality="preview")
    assert last(first, job)[0] == "result"
    first.close()
    again = connect(secret=first.secret)
    again.fetch(job)
    assert last(again, job) == ("failed", "unknown_job")


def test_keep_photo_may_be_refused(peer, ask, scene):
    assert last(peer, ask(peer, scene, keep_photo=False, quality="preview"))[0] == "result"


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"concept": "unicorn"}, "unknown_concept"),
        ({"model": "no such model"}, "unknown_model"),
        ({"strength": 0.0}, "bad_request"),
        ({"strength": 9.0}, "bad_request"),
        ({"operation": "destroy"}, "bad_request"),
        ({"seed": -1}, "bad_request"),
        ({"slot": "x" * 65}, "bad_request"),
        ({"context": "galaxy"}, "bad_request"),
        ({"grow": 501}, "bad_request"),
        ({"feather": -1.0}, "bad_request"),
        ({"composite": "glue"}, "bad_request"),
        ({"variant": "plaid"}, "unknown_variant"),
    ],
)
def test_a_wrong_request_has_its_code_and_the_next_one_is_answered(peer, ask, scene, changes, code):
    assert last(peer, ask(peer, scene, **changes)) == ("failed", code)
    assert last(peer, ask(peer, scene, quality="preview"))[0] == "result"


@pytest.mark.parametrize(
    ("shape", "mask_shape", "value", "code"),
    [
        ((96, 128, 3), (96, 127), 255, "mask_size"),
        ((96, 128, 3), (96, 128), 0, "mask_empty"),
        ((63, 128, 3), (63, 128), 255, "photo_too_small"),
    ],
)
def test_wrong_pictures(peer, ask, shape, mask_shape, value, code):
    scene = np.zeros(shape, np.uint8), np.full(mask_shape, value, np.uint8)
    assert last(peer, ask(peer, scene)) == ("failed", code)


def test_the_stub_fails_as_it_is_told(peer, ask, scene, kind):
    if kind == "stub":
        for code in ("out_of_memory", "internal", "model_damaged"):
            assert last(peer, ask(peer, scene, concept=f"fail:{code}")) == ("failed", code)


# -- versions, spoken by hand ----------------------------------------------------------------------


def hello(raw, version=protocol.VERSION, **more):
    raw.send({"type": "HELLO", "protocol": version, "nonce": bytes(16), **more})
    return raw.receive()


def test_another_major_is_refused_and_both_are_named(raw):
    answer = hello(raw, "2.7")
    assert (answer["type"], answer["code"]) == ("ERROR", "protocol_mismatch")
    assert "2.7" in answer["message"]
    assert protocol.VERSION in answer["message"]


def test_a_newer_minor_and_keys_from_the_future_are_welcome(raw, model):
    major = protocol.VERSION.split(".", maxsplit=1)[0]
    assert hello(raw, f"{major}.99", mood="sunny", client=None)["type"] == "WELCOME"
    params = {**TREE, "model": model, "quality": "preview", "brush": {"size": 3}}
    header = request("future", 64, 64, params=params, priority=9)
    raw.send(header, bytes(64 * 64 * 3), b"\xff" * 64 * 64)
    while (answer := raw.receive())["type"] in ("QUEUED", "PROGRESS"):
        pass
    assert answer["type"] == "RESULT"
    raw.send({"type": "SING"})
    answer = raw.receive()
    assert (answer["type"], answer["code"]) == ("ERROR", "bad_request")


def test_keeping_needs_a_secret(raw, model):
    hello(raw)
    params = {**TREE, "model": model}
    header = request("kept", 64, 64, params=params, keep_result=True)
    raw.send(header, bytes(64 * 64 * 3), b"\xff" * 64 * 64)
    answer = raw.receive()
    assert (answer["type"], answer["code"]) == ("FAILED", "bad_request")


def test_every_message_of_the_engine_has_exactly_the_documented_keys(raw, model):
    """Reads what comes over the wire with the document's own tables, strictly."""
    fields = {m.type: {f.name for f in m.fields} | {"type"} for m in protocol.ENGINE_MESSAGES}
    seen = [hello(raw, client_secret=bytes(range(16)))]
    raw.send(request("1", 64, 64, params={**TREE, "model": model}), bytes(12288), b"\xff" * 4096)
    raw.send({"type": "STATUS"})
    raw.send({"type": "STATS"})
    raw.send({"type": "FETCH", "job_id": "none"})
    raw.send({"type": "LOOKS", "model": model})
    raw.send({"type": "NONSENSE"})
    while {"RESULT", "STATUS_REPLY", "STATS_REPLY", "LOOKS_REPLY", "ERROR"} - {
        one["type"] for one in seen
    }:
        seen.append(raw.receive())
    for one in seen:
        assert set(one) == fields[one["type"]], one["type"]
        protocol.check(one)
