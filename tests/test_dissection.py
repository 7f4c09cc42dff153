import torch

from ganpaint_engine import dissection


def planted(n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Featuremaps whose units 3 and 5 follow class 1, unit 7 class 2; unit 9 has a rare spike."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.zeros(n, 32, 32, dtype=torch.long)
    r = 0.3 * torch.randn(n, 12, 8, 8, generator=rng)
    for i in range(n):
        y, x = (int(v) for v in torch.randint(0, 6, (2,), generator=rng))
        labels[i, 4 * y : 4 * y + 8, 4 * x : 4 * x + 8] = 1
        r[i, [3, 5], y : y + 2, x : x + 2] += 3
        labels[i, 28:, :8] = 2
        r[i, 7, 7, :2] += 3
    r[0, 9, 0, 0] = 500
    return r, labels


def test_planted_units_are_found_and_nothing_else() -> None:
    r, labels = planted()
    found, iou = dissection.dissect(r, labels, ["one", "two"], ["none", "one", "two"], units=4)
    assert sorted(found["one"].units.tolist()) == [3, 5]
    assert found["two"].units.tolist() == [7]
    assert 7 in found["one"].rivals
    assert 3 not in found["one"].rivals
    assert iou["one"] > 0.5
    assert abs(float(found["one"].p[3]) - 3) < 0.3
    assert abs(float(found["one"].p[7])) < 0.6


def test_outliers_belong_to_no_concept() -> None:
    r, labels = planted()
    assert dissection.outliers(r).nonzero().flatten().tolist() == [9]
    found, _ = dissection.dissect(r, labels, ["one"], ["none", "one", "two"], units=12)
    assert 9 not in found["one"].units


def test_a_concept_that_never_occurs_is_not_made_up() -> None:
    r, labels = planted()
    found, _ = dissection.dissect(r, labels, ["one", "three"], ["none", "one", "two", "three"])
    assert list(found) == ["one"]


def test_variants_are_looks_that_occur() -> None:
    r, labels = planted()
    r[:20, 11] += 2 * (labels[:20, ::4, ::4] == 1)
    found, _ = dissection.dissect(r, labels, ["one"], ["none", "one", "two"], units=2, variants=2)
    looks = sorted(found["one"].variants[:, 11].tolist())
    assert looks[0] < 0.6
    assert looks[1] > 1.4
