"""What is kept of photos on disk: whole, private, bounded, and only that."""

import os
import stat

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import ganpaint_engine as gp
from ganpaint_engine import cli, photo_cache
from ganpaint_engine.photo_cache import Computed, PhotoCache
from ganpaint_engine.service.photos import Shelf

MODEL, PHOTO, PLACE = "a" * 64, "b" * 32, (-3, 4, 150)


def computed(seed=0, size=8):
    torch.manual_seed(seed)
    deltas = {6: torch.randn(1, 8, 16, 16).half(), 8: torch.randn(1, 4, size, size).half()}
    return Computed(torch.randn(1, 16, 8, 8).half(), deltas, {"encoder": 10.5, "refined": 20.0})


def cache(max_bytes=1 << 20):
    return PhotoCache(max_bytes)


def files():
    return sorted(path for path in photo_cache.folder().rglob("*") if path.is_file())


def test_what_is_put_comes_back_the_same(home):
    kept = computed()
    cache().put(MODEL, PHOTO, PLACE, kept)
    found = cache().get(MODEL, PHOTO, PLACE)
    assert torch.equal(found.r, kept.r)
    assert found.deltas.keys() == kept.deltas.keys()
    assert all(torch.equal(found.deltas[i], kept.deltas[i]) for i in kept.deltas)
    assert found.psnr == kept.psnr
    assert cache().get("c" * 64, PHOTO, PLACE) is None, "another model"
    assert cache().get(MODEL, PHOTO, (0, 0, 64)) is None, "another window"


def test_only_the_owner_can_read(home):
    os.umask(0)
    cache().put(MODEL, PHOTO, PLACE, computed())
    for path in photo_cache.folder().rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert stat.S_IMODE(photo_cache.folder().stat().st_mode) == 0o700


def cut(content):
    return content[: len(content) // 2]


def flipped(content):
    at = len(content) - 7
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("damage", [cut, flipped, lambda _: b"", lambda _: b"\xff" * 500])
def test_a_damaged_file_is_removed_and_counts_as_none(home, damage):
    cache().put(MODEL, PHOTO, PLACE, computed())
    (path,) = files()
    path.write_bytes(damage(path.read_bytes()))
    assert cache().get(MODEL, PHOTO, PLACE) is None
    assert files() == []


def test_what_a_killed_engine_left_half_written_is_removed(home):
    cache().put(MODEL, PHOTO, PLACE, computed())
    (whole,) = files()
    (whole.parent / ".part-abc").write_bytes(b"half")
    cache()
    assert files() == [whole]


def test_bounded_in_bytes_the_longest_unused_goes_first(home):
    one = cache(1 << 30)
    for number in range(4):
        one.put(MODEL, f"{number:032}", PLACE, computed(number))
        for path in files():  # so that their order is that of their numbers
            os.utime(path, (int(path.name[:32]), int(path.name[:32])))
    size = files()[0].stat().st_size
    one.get(MODEL, f"{0:032}", PLACE)  # used now
    small = cache(3 * size)
    assert [int(path.name[:32]) for path in files()] == [0, 2, 3]
    small.put("d" * 64, PHOTO, PLACE, computed())
    assert small.usage.files == 3
    assert small.usage.bytes <= 3 * size


@pytest.mark.skipif(os.geteuid() == 0 and not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_without_a_disk_nothing_is_kept_and_nothing_raised(home, caplog):
    photo_cache.folder().parent.mkdir(parents=True)
    photo_cache.folder().write_text("a file where the folder should be")
    one = cache()
    one.put(MODEL, PHOTO, PLACE, computed())
    one.put(MODEL, PHOTO, PLACE, computed())
    assert one.get(MODEL, PHOTO, PLACE) is None
    assert caplog.text.count("cannot be used") == 1


def test_show_and_clear(home):
    cache().put(MODEL, PHOTO, PLACE, computed())
    runner = CliRunner()
    shown = runner.invoke(cli.app, ["cache", "show"])
    assert "1 windows" in shown.output
    assert str(photo_cache.folder()) in shown.output.replace("\n", "")
    assert "Removed 1 files" in runner.invoke(cli.app, ["cache", "clear"]).output
    assert not photo_cache.folder().exists()
    assert "Removed 0 files" in runner.invoke(cli.app, ["cache", "clear"]).output


# -- with a session --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prior(small_model):
    return gp.load_model(small_model, device="cpu")


def opened(prior, photo):
    stages = []
    shelf = Shelf(cache(), prior.key, PHOTO)
    session = prior.open(photo, shelf)
    session.inverted(session.place(np.ones((150, 200))), lambda _, stage: stages.append(stage))
    return session, set(stages)


@pytest.mark.parametrize("quality", ["preview", "final"])
def test_an_edit_of_a_cached_photo_is_the_same_to_the_bit(home, prior, photo, stroke, quality):
    first, stages = opened(prior, photo)
    assert "refine" in stages
    one = first.edit(stroke, add="tree", quality=quality)
    again, stages = opened(prior, photo)
    assert stages == set()
    two = again.edit(stroke, add="tree", quality=quality)
    assert np.array_equal(one.patch, two.patch)
    assert one.report["psnr"] == two.report["psnr"]


def test_what_does_not_fit_the_model_is_removed(home, prior, photo):
    first, _ = opened(prior, photo)
    (path,) = files()
    shelf = Shelf(cache(), prior.key, PHOTO)
    place = next(iter(first._inversions))
    wrong = computed()
    for kept in (wrong, Computed(torch.full((1, 16, 8, 8), torch.nan).half(), {}, {})):
        shelf.put(place, kept)
        _, stages = opened(prior, photo)
        assert "refine" in stages
    assert files() == [path]
    assert opened(prior, photo)[1] == set()


def test_memory_that_a_photo_takes_is_known(prior, photo):
    session = prior.open(photo)
    assert session.nbytes == 200 * 150 * 3
    session.inspect()
    assert session.nbytes > 200 * 150 * 3
