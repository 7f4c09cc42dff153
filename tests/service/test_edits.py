"""The product's own engine, from the socket to the method, on a small model of random weights."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from engines import PATIENCE, request, until
from ganpaint_bridge import Engine, run

import ganpaint_engine as gp
from ganpaint_engine import errors, paths, photo_cache
from ganpaint_engine.client import Client
from ganpaint_engine.service import lifecycle, protocol
from ganpaint_engine.service.edits import Edits
from ganpaint_engine.service.jobs import Bounds, Job, JobQueue
from ganpaint_engine.service.worker import Work, Worker


@pytest.fixture(scope="module")
def engine_home(tmp_path_factory, small_model):
    """A GANPAINT_HOME with the model "small", a damaged copy of it, and a running engine."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANPAINT_HOME", str(home))
        patch.setenv("OMP_NUM_THREADS", "1")  # so small a model is slower on several
        models = paths.user_models_dir()
        shutil.copytree(small_model, models / "small")
        shutil.copytree(small_model, models / "damaged")
        card = models / "damaged" / "model.json"
        card.write_text(card.read_text().replace('"small"', '"damaged"'))
        weights = models / "damaged" / "generator.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        command = [sys.executable, "-m", "ganpaint_engine.service.lifecycle", "--device", "cpu"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(lifecycle.running, "the engine's start")
    yield home
    process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.fixture
def client(engine_home, monkeypatch):
    monkeypatch.setenv("GANPAINT_HOME", str(engine_home))
    with Client.connect() as client:
        yield client


@pytest.fixture
def arrays(photo, stroke):
    return np.asarray(photo), np.asarray(stroke)


def edit(client, image, mask, concept="tree", operation="add", model="small", **options):
    job = client.submit(image, mask, concept=concept, operation=operation, model=model, **options)
    return list(client.events(job, timeout=60))


def test_welcome_lists_the_models(client):
    models = {model["name"]: model for model in client.welcome["models"]}
    assert models["small"]["concepts"] == ["tree", "dome"]
    assert models["small"]["resolution"] == 32
    assert models["small"]["operations"]["tree"] == ["add", "remove", "restyle"]
    assert models["small"]["variants"]["tree"] == ["plain", "autumn", "bare"]
    assert client.welcome["default_model"] in models


@pytest.fixture(scope="module")
def session(small_model, photo):
    """The same photo, opened by the Python API in this process."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield gp.load_model(small_model, device="cpu").open(photo)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("operation", "concept"), [("add", "tree"), ("remove", "dome"), ("restyle", "tree")]
)
def test_an_edit_is_what_the_python_api_makes(client, arrays, session, operation, concept):
    image, mask = arrays
    *events, result = edit(client, image, mask, concept, operation, seed=2, strength=0.8)
    assert {event.type for event in events} <= {"queued", "progress"}
    expected = session.edit(mask, **{operation: concept}, seed=2, strength=0.8)
    assert result.name == expected.name
    assert result.offset == expected.offset
    assert result.report["psnr"].keys() == {"encoder", "refined", "adapted", "outside"}
    difference = result.patch.astype(int) - np.asarray(expected.patch)
    assert np.abs(difference).max() <= 2  # sums in another order


def test_a_photo_stays_open(client, arrays):
    image, mask = arrays
    image = np.fliplr(image).copy()
    first = edit(client, image, mask)
    second = edit(client, image, mask, "dome")
    fractions = [event.fraction for event in first if event.type == "progress"]
    assert fractions == sorted(fractions)
    assert "refine" in {event.stage for event in first}
    assert "refine" not in {event.stage for event in second}
    assert second[-1].name == "Add dome"


def test_restyle_to_a_variant(client, arrays, session, stroke):
    image, mask = arrays
    wish = {"concept": "tree", "operation": "restyle", "variant": "autumn", "quality": "preview"}
    result = edit(client, image, mask, **wish)[-1]
    assert result.name == "Restyle tree (autumn)"
    assert result.report["variant"] == "autumn"
    with pytest.raises(errors.UnknownVariant):
        edit(client, image, mask, **(wish | {"variant": "unheard of"}))


def test_through_the_bridge(client, arrays):
    image, mask = arrays
    engine = Engine("test", start=False)
    job = engine.submit(
        concept="tree",
        operation="add",
        quality="preview",
        model="small",
        image=(image.tobytes(), 200, 150, 3),
        mask=(mask.tobytes(), 200, 150),
    )
    result = run(engine, job)
    size = result.header["patch"]
    assert len(result.frames[0]) == size["width"] * size["height"] * 4
    engine.close()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"mask": np.zeros((150, 200), np.uint8)}, errors.EmptyMask),
        ({"concept": "unicorn"}, errors.UnknownConcept),
        ({"model": "no such model"}, errors.UnknownModel),
        ({"model": "damaged"}, errors.DamagedModel),
        (
            {"image": np.zeros((63, 200, 3), np.uint8), "mask": np.ones((63, 200), np.uint8)},
            errors.PhotoTooSmall,
        ),
        ({"strength": 0.0}, errors.BadRequest),
    ],
)
def test_bad_input_has_its_code_and_the_engine_goes_on(client, arrays, changes, error):
    image, mask = arrays
    with pytest.raises(error):
        edit(client, **{"image": image, "mask": mask, **changes})
    assert edit(client, image, mask, quality="preview")[-1].type == "result"


def test_cancel_stops_the_method(client, arrays):
    image, mask = arrays
    job = client.submit(
        np.rot90(image, 2).copy(), mask, concept="tree", operation="add", model="small"
    )
    events = client.events(job, timeout=60)
    next(event for event in events if event.stage == "refine")
    client.cancel(job)
    with pytest.raises(errors.Cancelled):
        list(events)
    assert client.status()["running"] is None


def job_for(image, mask, quality="final", strength=1.0, **keys):
    height, width, _ = image.shape
    params = {"concept": "tree", "operation": "add", "quality": quality, "model": "small"}
    params["strength"] = strength
    message = protocol.check(request("x", width, height, params=params, **keys))
    return Job(b"", b"", message, [image.tobytes(), mask.tobytes()])


@pytest.fixture
def quick_edits(engine_home, monkeypatch):
    """The handler, in this process, opening photos in a few steps."""
    monkeypatch.setenv("GANPAINT_HOME", str(engine_home))
    monkeypatch.setattr("ganpaint_engine.prior.REFINE_STEPS", 2)
    monkeypatch.setattr("ganpaint_engine.prior.PHOTO_STEPS", 2)
    yield lambda: Edits("cpu")
    photo_cache.clear()


def stages_of(edits, *job, **keys):
    stages = set()
    edits.edit(job_for(*job, **keys), lambda _, stage: stages.add(stage))
    return stages


ROOMY = Bounds(9, 1 << 20, 9, 1 << 20)


class Steps:
    """Counts the optimisation steps of all jobs, and does something in the middle of one."""

    def __init__(self, monkeypatch):
        self.count, self.at, self.do = 0, None, None
        step = torch.optim.Adam.step

        def counted(*arguments, **options):
            self.count += 1
            if self.count == self.at:
                self.do()
            return step(*arguments, **options)

        monkeypatch.setattr(torch.optim.Adam, "step", counted)


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.setattr("ganpaint_engine.editing.EDIT_TOLERANCE", 0.0)
    return Steps(monkeypatch)


def worked_on(edits, jobs, first):
    """Reports of a worker that does ``first`` and whatever else comes into ``jobs`` meanwhile."""
    told = []
    work = Work({"edit": edits.edit}, edits.about, is_quick=edits.is_quick)
    worker = Worker(work, jobs, lambda job, header, frames: told.append((job, header, frames)))
    told.append((first, *worker._work(first)))
    return [one for one in told if one[1]["type"] != "PROGRESS"]


@pytest.mark.parametrize("at", [1, 3, 10], ids=["refining", "adapting", "fitting the edit"])
def test_cancel_takes_effect_within_two_optimisation_steps(quick_edits, arrays, steps, at):
    edits = quick_edits()
    final = job_for(*arrays, quality="final", keep_photo=False)
    steps.at, steps.do = at, lambda: final.stop({"type": "CANCELLED"})
    ((_, header, _),) = worked_on(edits, JobQueue(ROOMY), final)
    assert header == {"type": "CANCELLED"}
    assert steps.count - at <= 1


def test_a_preview_passes_a_final_within_a_step_and_changes_nothing_of_it(
    quick_edits, arrays, steps
):
    edits = quick_edits()
    undisturbed = edits.edit(job_for(*arrays, quality="final"), lambda *_: None)
    jobs, seen = JobQueue(ROOMY), []
    edits_of_preview = edits.edit

    def noted(job, progress):
        seen.append((job.quality, steps.count))
        return edits_of_preview(job, progress)

    edits.edit = noted
    steps.at, steps.do = steps.count + 20, lambda: jobs.add(job_for(*arrays, "preview", 0.5))
    first, second = worked_on(edits, jobs, job_for(*arrays, quality="final"))
    assert [first[0].quality, second[0].quality] == ["preview", "final"]
    assert first[1]["type"] == second[1]["type"] == "RESULT"
    assert seen[1] == ("preview", steps.at), "begun before the final's next step"
    assert second[2] == undisturbed.frames, "not a bit of the final is different"


def test_what_a_preview_was_answered_from_is_refined_when_nothing_waits(
    quick_edits, arrays, monkeypatch
):
    photo_cache.clear()
    edits = quick_edits()
    edits.edit(job_for(*arrays, "preview"), lambda *_: None)
    assert edits.photos.has_more()
    stages = []

    def stop(fraction, stage):
        stages.append(stage)
        if stage == "adapt to photo":
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        edits.photos.go_on(stop)
    assert stages[-1] == "adapt to photo"
    assert edits.photos.has_more()
    stages.clear()
    edits.photos.go_on(lambda _, stage: stages.append(stage))
    assert "refine" not in stages, "it goes on after the stage that was done"
    assert not edits.photos.has_more()
    result = edits.edit(job_for(*arrays, "preview"), lambda *_: None)
    assert result.fields["report"]["stage"] == "adapted"
    assert not edits.photos.has_more()


def test_a_preview_that_must_not_be_kept_is_not_refined(quick_edits, arrays):
    edits = quick_edits()
    edits.edit(job_for(*arrays, "preview", keep_photo=False), lambda *_: None)
    assert not edits.photos.has_more()


@pytest.fixture
def set_to():
    """Writes the person's settings; they are gone after the test."""

    def write(settings):
        paths.settings_file().parent.mkdir(parents=True, exist_ok=True)
        paths.settings_file().write_text(json.dumps(settings))

    yield write
    paths.settings_file().unlink()


def test_only_the_last_photos_are_kept_in_memory(quick_edits, arrays, set_to):
    image, mask = arrays
    edits = quick_edits()
    stages_of(edits, image, mask)
    set_to({"memory_mib": 2.5 * edits.photos.figures()["bytes"] / (1 << 20)})
    edits = quick_edits()
    for shift in range(3):
        stages_of(edits, np.roll(image, shift, axis=0), mask)
    assert edits.photos.figures()["photos"] == 2
    assert "refine" not in stages_of(edits, np.roll(image, 2, axis=0), mask)
    photo_cache.clear()
    assert "refine" in stages_of(edits, image, mask), "the first one had gone"


def test_another_engine_finds_photos_on_disk(quick_edits, arrays):
    assert "refine" in stages_of(quick_edits(), *arrays)
    later = quick_edits()
    assert "refine" not in stages_of(later, *arrays)
    assert later.photos.figures()["disk_hits"] == 1


def test_keep_photo_false_keeps_nothing(quick_edits, arrays):
    photo_cache.clear()
    edits = quick_edits()
    for _ in range(2):
        assert "refine" in stages_of(edits, *arrays, keep_photo=False)
    assert edits.photos.figures()["photos"] == 0
    assert photo_cache.usage().files == 0


@pytest.mark.parametrize("setting", [{"keep_photos": False}, {"cache_mib": 0}])
def test_settings_that_keep_nothing_on_disk(quick_edits, arrays, setting, set_to):
    set_to(setting)
    edits = quick_edits()
    stages_of(edits, *arrays)
    assert photo_cache.usage().files == 0
    assert edits.photos.figures()["photos"] == ("cache_mib" in setting)


def test_nothing_of_a_photo_is_written_outside_the_cache(
    home, small_model, arrays, tmp_path, monkeypatch
):
    """An engine with a home, a folder for temporary files and a working folder of its own."""
    places = {name: tmp_path / name for name in ("temporary", "working", "user")}
    for folder in places.values():
        folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(places["temporary"]))
    monkeypatch.setenv("HOME", str(places["user"]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.copytree(small_model, paths.user_models_dir() / "small")
    command = [sys.executable, "-m", "ganpaint_engine.service.lifecycle", "--device", "cpu"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        cwd=places["working"],
        env={**os.environ, "PYTHONPATH": str(Path(gp.__file__).parents[1])},
    )
    try:
        until(lifecycle.running, "the engine's start")
        with Client.connect() as client:
            edit(client, *arrays)
            edit(client, np.flipud(arrays[0]).copy(), arrays[1], keep_result=True)
            cached = photo_cache.usage().files
            edit(client, np.fliplr(arrays[0]).copy(), arrays[1], keep_photo=False)
            assert photo_cache.usage().files == cached > 0
    finally:
        process.terminate()
        process.wait(PATIENCE)
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    written -= {path for path in written if paths.user_models_dir() in path.parents}
    outside = {path for path in written if photo_cache.folder() not in path.parents}
    assert {path.parent for path in outside} == {paths.runtime_dir()}
    pixels = arrays[0].tobytes()
    for path in written:  # and not even there the photo itself
        content = path.read_bytes()
        assert not any(pixels[at : at + 24] in content for at in range(0, 9000, 300)), path


def test_warming_up_leaves_nothing_to_be_loaded_by_the_first_edit(quick_edits):
    edits = quick_edits()
    edits.warm_up()
    (prior,) = edits._priors.values()
    assert "_segmenter" in vars(prior)
