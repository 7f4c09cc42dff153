"""From a published weight file to an edited photo, at toy size."""

import importlib.util
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganpaint_engine import (
    cli,
    encoder_training,
    errors,
    model_package,
    preparing,
    segmentation,
    segmenters,
)
from ganpaint_engine.encoder import Encoder
from ganpaint_engine.generator import Generator
from ganpaint_engine.prior import load_model
from ganpaint_engine.published.importing import import_file


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prior.REFINE_STEPS", "prior.PHOTO_STEPS", "editing.EDIT_STEPS"):
        monkeypatch.setattr(f"ganpaint_engine.{name}", 4)
    monkeypatch.setattr(preparing, "MEASURED", 2)


@pytest.fixture
def imported() -> str:
    """A ProGAN of 16 px with random weights, in the published layout."""
    torch.manual_seed(0)
    path = Path("toy.pth")
    torch.save({"state_dict": Generator([8, 24, 24, 24, 24, 16, 16]).state_dict()}, path)
    import_file(path, name="toy")
    return "toy"


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Bright(torch.nn.Module):
    """A segmenter of two classes: bright and dark."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grey = x.mean(1, keepdim=True)
        return torch.cat([grey, -grey], 1) * 8


def test_pull_prepare_edit(imported: str, photo: Image.Image, stroke: Image.Image) -> None:
    with pytest.raises(errors.ModelNotPrepared):
        load_model(imported, "cpu").open(photo)
    stages: list[str] = []
    eyes = segmentation.Segmenter(Bright(), ("bright", "dark"))
    info = preparing.prepare(
        imported, 0.1, lambda f, stage: stages.append(stage), eyes, "cpu", samples=40
    )
    assert info.prepared
    assert info.card["preparation"]["steps"] > 3
    curve = info.card["preparation"]["encoder_db_over_minutes"]
    assert curve[-1][1] > curve[0][1]
    assert set(info.card["measured"]["samples_psnr_db"]) == {"encoder", "refined", "adapted"}
    model_package.verify(info)
    assert not preparing.kept_in(info).exists()
    assert any(stage.startswith("train E") for stage in stages)
    prior = load_model(imported, "cpu")
    assert prior.concepts == info.concepts
    opened = prior.open(photo)
    for concept in prior.concepts:
        for operation in set(prior.operations(concept)) & {"add", "remove"}:
            edit = opened.edit(stroke, **{operation: concept})
            assert edit.image.size == photo.size
    with pytest.raises(errors.BadRequest, match="already"):
        preparing.prepare(imported, 0.1, lambda f, s: None, eyes, "cpu")


def test_a_stopped_preparation_goes_on(imported: str) -> None:
    info = model_package.find_model(imported)
    before = (info.path / model_package.CARD).read_bytes()
    prior, kept = load_model(imported, "cpu"), preparing.kept_in(info)
    trainer = preparing._resumed(prior, kept)
    for _ in range(3):
        trainer.train_step()
    preparing._keep(trainer, kept)
    again = preparing._resumed(prior, kept)
    assert again.step == 3
    assert again.train_step() == pytest.approx(trainer.train_step(), rel=1e-3)
    kept.write_bytes(b"half a file")
    assert preparing._resumed(prior, kept).step == 0

    def stop(fraction: float, stage: str) -> None:
        raise KeyboardInterrupt

    eyes = segmentation.Segmenter(Bright(), ("bright", "dark"))
    with pytest.raises(KeyboardInterrupt):
        preparing.prepare(imported, 5, stop, eyes, "cpu")
    assert (info.path / model_package.CARD).read_bytes() == before
    assert [m.name for m in model_package.list_models() if m.name == imported] == [imported]
    assert not model_package.find_model(imported).prepared


def test_a_full_disk_leaves_the_model_as_it_was(imported: str) -> None:
    """A file size limit stands in for the full disk: writing fails midway, as it does there."""
    info = model_package.find_model(imported)
    before = {p.name: p.read_bytes() for p in info.path.iterdir() if p.is_file()}
    eyes = segmentation.Segmenter(Bright(), ("bright", "dark"))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(errors.DiskFull, match="cannot be kept"):
            preparing.prepare(imported, 0.02, lambda f, s: None, eyes, "cpu", samples=24)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert {p.name: p.read_bytes() for p in info.path.iterdir() if p.is_file()} == before
    assert not model_package.find_model(imported).prepared
    assert list(preparing.kept_in(info).parent.iterdir()) == []


def test_what_cannot_be_prepared_says_why(tmp_path: Path) -> None:
    eyes = segmentation.Segmenter(Bright(), ("bright", "dark"))
    torch.save(Generator([8, 16, 16, 16, 16]).state_dict(), tmp_path / "flat.pth")
    import_file(tmp_path / "flat.pth", name="flat")
    with pytest.raises(errors.BadRequest, match="edit layer"):
        preparing.prepare("flat", 1, lambda f, s: None, eyes)
    with pytest.raises(errors.BadRequest, match="came with"):
        preparing.prepare("churches", 1, lambda f, s: None, eyes)


@pytest.mark.parametrize(("resolution", "count"), [(16, 1), (64, 3), (256, 5), (1024, 7)])
def test_encoders_fit_every_resolution(resolution: int, count: int) -> None:
    widths = encoder_training.widths_for(resolution, 512)
    assert len(widths) == count
    assert all(w % 8 == 0 for w in widths)
    assert Encoder(widths, 512).resolution == resolution


def test_an_encoder_that_keeps_lengths_is_read_back_as_one() -> None:
    net = Encoder([16], 12, lengths=True)
    x = torch.randn(1, 3, 16, 16)
    again = Encoder.from_state_dict(net.state_dict())
    assert torch.equal(again(x), net(x))
    assert float(net(x).detach().square().mean()) != pytest.approx(1, abs=0.01)
    plain = Encoder.from_state_dict(Encoder([16], 12).state_dict())
    assert float(plain(x).detach().square().mean()) == pytest.approx(1, abs=0.01)


def test_segmenters_at_hand(tmp_path: Path) -> None:
    assert segmenters.find(None).classes == segmentation.CLASSES
    assert segmenters.find(None).labels(torch.zeros(1, 3, 32, 32)).shape == (1, 32, 32)
    (tmp_path / "ade").mkdir()
    with pytest.raises(errors.SegmenterMissing):
        segmenters.find(str(tmp_path / "ade"))
    with pytest.raises(errors.BadRequest):
        segmenters.find("torchvision:no_such_network")
    with pytest.raises(errors.SegmenterMissing):
        segmenters.find(f"torchvision:lraspp_mobilenet_v3_large:{tmp_path / 'none.pth'}")
    other = tmp_path / "other.pth"
    for write in (
        lambda: other.write_bytes(b"no weights"),
        lambda: torch.save({"layer": torch.zeros(3)}, other),
        lambda: torch.save([torch.zeros(3)], other),
        lambda: torch.save(Bright(), other),
    ):
        write()
        with pytest.raises(errors.BadRequest, match="no weights of"):
            segmenters.find(f"torchvision:lraspp_mobilenet_v3_large:{other}")


def segformer(folder: Path, labels: tuple[str, ...]) -> str:
    """A SegFormer with random weights, as transformers saves it; what to call it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    net = transformers.SegformerForSemanticSegmentation(config)
    # Random weights answer with one class everywhere, which no concept can be made of.
    net.decode_head.classifier.weight.data *= 50
    net.save_pretrained(folder)
    return str(folder)


def lraspp(file: Path, labels: tuple[str, ...]) -> str:
    """One of torchvision's networks with random weights; its classes are its own."""
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    torch.manual_seed(0)
    net = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    net.classifier.low_classifier.weight.data *= 1e6
    net.classifier.low_classifier.bias.data[3:] = -1e9  # three classes are enough
    net.classifier.low_classifier.bias.data[15] = 0  # person
    torch.save(net.state_dict(), file)
    return f"torchvision:lraspp_mobilenet_v3_large:{file}"


@pytest.mark.skipif(
    "CI" not in os.environ and importlib.util.find_spec("transformers") is None,
    reason="transformers is not installed",
)
@pytest.mark.parametrize(("make", "knows"), [(segformer, "swimming pool"), (lraspp, "person")])
def test_concepts_are_found_by_others_networks(
    make: Callable[[Path, tuple[str, ...]], str],
    knows: str,
    imported: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = ("wall", "Building, edifice", "sky", "swimming pool; pool")
    wanted = make(tmp_path / "net", labels)
    found = segmenters.find(wanted)
    assert knows in found.classes
    answer = found.labels(torch.rand(3, 3, 16, 16) * 2 - 1)
    assert answer.shape == (3, 16, 16)
    assert int(answer.max()) < len(found.classes)
    told = ["--minutes", "0.05", "--samples", "24", "--segmenter", wanted]
    with pytest.raises(SystemExit) as left:
        cli.main(["models", "prepare", imported, *told])
    assert left.value.code == 0, capsys.readouterr()
    info = model_package.find_model(imported)
    assert info.prepared
    # Random weights teach nothing: what matters is that its classes were tried, one by one.
    tried = [*info.concepts, *info.card["left_out"]]
    assert any(re.search(rf"\b{name}\b", line) for name in found.classes for line in tried), tried


def test_networks_that_are_no_segmenters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "net"
    segformer(folder, ("wall", "sky"))
    (folder / segmenters.PREPROCESSOR).write_text('{"image_mean": [0.5, 0.5, 0.5]}')
    assert segmenters._normalisation(folder) == (segmenters.MEAN, segmenters.DEVIATION)
    half = '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    (folder / segmenters.PREPROCESSOR).write_text(half)
    net = segmenters.find(str(folder)).net
    assert isinstance(net, segmenters.Photographic)
    assert net.mean == net.deviation == (0.5, 0.5, 0.5)
    with pytest.raises(errors.SegmenterMissing, match="names 3 classes and answers with 2"):
        segmenters._tried(net, ("a", "b", "c"), "it")
    with pytest.raises(errors.SegmenterMissing, match="does not segment"):
        segmenters._tried(segmenters.Photographic(torch.nn.Flatten()), ("a",), "it")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(errors.SegmenterMissing, match="holds no network"):
        segmenters.find(str(folder))


def test_names_of_classes() -> None:
    told = (
        "Wall",
        "door;double door",
        "screen, silver screen",
        "screen",
        "boat/ship",
        "Dining_Table",
    )
    assert segmenters.concept_names(told) == (
        "wall", "door", "screen", "screen", "boat", "dining table",
    )  # fmt: skip


def test_the_command(imported: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["models", "prepare", imported, "--minutes", "0.05", "--samples", "24"])
    assert left.value.code == 0, capsys.readouterr()
    told = capsys.readouterr().out
    assert "toy is ready for photos" in told
    assert "concepts learn toy" in told or "Concepts: none" not in told


def test_varied_pictures_stay_pictures() -> None:
    from ganpaint_engine.augmentation import photometric

    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    y = photometric(x, torch.Generator().manual_seed(1))
    assert y.shape == x.shape
    assert y.abs().max() <= 1
    assert (y - x).abs().mean() > 0.05
    assert torch.equal(y, photometric(x, torch.Generator().manual_seed(1)))
    assert np.isfinite(y.numpy()).all()
