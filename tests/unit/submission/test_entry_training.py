"""Training: what must be disjoint is, what must repeat does, and a fake is fake only where it claims."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "submission"))
sys.path.insert(0, str(Path(__file__).parents[3] / "submission" / "training"))

import torch
import train
from augment import Disguise, cut_square, wear, wear_source
from data import METHOD_SHARES, Batch, Person, draw_person, forge, make_batch, person_of, split
from detector import models
from fakes import METHODS, TEMPLATE, RealFace, align, face_mask
from figures import auc, figures
from losses import loss_of
from prepare import real_clips
from state import State
from toy import toy_person


@pytest.fixture(scope="module")
def persons() -> list[Person]:
    return [toy_person(number) for number in range(7)]


def _same_identity(person: Person, identity: str) -> Person:
    return person_of(person.clip, identity, person.faces)


def test_every_identity_is_held_out_in_exactly_one_fold(persons: list[Person]) -> None:
    shared = [*persons[:5], _same_identity(persons[5], "twin"), _same_identity(persons[6], "twin")]
    seen: list[str] = []
    for fold in range(3):
        training, held_out = split(shared, fold=fold, folds=3, seed=0)
        assert not {p.identity for p in training} & {p.identity for p in held_out}
        assert len(training) + len(held_out) == len(shared)
        seen += [p.identity for p in held_out]
    assert sorted(seen) == sorted(p.identity for p in shared)


def test_the_same_key_gives_the_same_batch_and_another_key_another(persons: list[Person]) -> None:
    one, same, other = (make_batch(persons, pairs=3, size=48, key=(1, step)) for step in (5, 5, 6))
    np.testing.assert_array_equal(one.crops, same.crops)
    assert one.methods == same.methods
    assert not np.array_equal(one.crops, other.crops)


def test_a_batch_is_pairs_of_real_and_fake_of_the_same_clip(persons: list[Person]) -> None:
    batch = make_batch(persons, pairs=6, size=48, key=(2,), augment=False)
    assert batch.crops.shape == (12, 48, 48, 3)
    assert batch.labels.tolist() == [0, 1] * 6
    assert set(batch.methods[::2]) == {"real"}
    assert "real" not in batch.methods[1::2]
    assert batch.clips[::2] == batch.clips[1::2]
    for real, fake in zip(batch.crops[::2], batch.crops[1::2], strict=True):
        assert np.abs(real.astype(int) - fake).max() > 0
        # the twins show the same surroundings
        np.testing.assert_array_equal(real[:2, :2], fake[:2, :2])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_fake_differs_inside_the_face_and_nowhere_else(persons: list[Person], method: str) -> None:
    changed = np.zeros(len(persons[0].faces[0].crop))
    for key in range(12):
        face = persons[key % 7].faces[0]
        donor = persons[(key + 1) % 7].faces[1]
        fake = METHODS[method](face, donor, np.random.default_rng(key))
        assert fake.shape == face.crop.shape
        assert fake.dtype == np.uint8
        difference = np.abs(fake.astype(int) - face.crop).max(axis=2)
        assert difference.max() > 3, "nothing was forged"
        border = np.ones_like(difference, bool)
        border[8:-8, 8:-8] = False
        assert difference[border].max() <= 3
        changed = changed + difference.max(axis=1)
    assert changed[len(changed) // 2] > 0


@pytest.mark.parametrize("method", sorted(METHOD_SHARES))
def test_every_method_forges_and_the_same_seed_forges_the_same(persons: list[Person], method: str) -> None:
    person, face = persons[0], persons[0].faces[0]
    one, same = (forge(person, face, persons, method, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert one.shape == face.crop.shape
    assert one.dtype == np.uint8
    assert (np.abs(one.astype(int) - face.crop).max(axis=2) > 2).sum() > 20


def test_an_identity_with_many_clips_is_drawn_no_more_often(persons: list[Person]) -> None:
    shared = [persons[0], *(_same_identity(p, "many") for p in persons[1:6])]
    rng = np.random.default_rng(0)
    drawn = [draw_person(shared, rng).identity for _ in range(400)]
    assert 160 < drawn.count("many") < 240


def test_a_disguise_moves_the_landmarks_with_the_face() -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        crop = np.zeros((200, 200, 3), np.uint8)
        points = (TEMPLATE * 0.8 + 60).round()
        for x, y in points.astype(int):
            crop[y - 2 : y + 3, x - 2 : x + 3] = 255
        worn = Disguise.draw(rng).put_on_face(RealFace(crop=crop, landmarks=points))
        bright = worn.crop.min(axis=2) > 60
        for x, y in worn.landmarks:
            near = bright[
                round(float(y)) - 3 : round(float(y)) + 4, round(float(x)) - 3 : round(float(x)) + 4
            ]
            assert near.any(), "the landmark is not where its pixels went"


def test_a_disguise_is_the_same_for_both_twins(persons: list[Person]) -> None:
    crop = persons[0].faces[0].crop
    disguise = Disguise.draw(np.random.default_rng(1))
    np.testing.assert_array_equal(disguise.put_on(crop), disguise.put_on(crop.copy()))
    assert np.abs(disguise.put_on(crop).astype(int) - crop).mean() > 1


def test_wear_keeps_type_and_gives_the_size_asked_for(persons: list[Person]) -> None:
    crop = persons[0].faces[0].crop
    for seed in range(40):
        rng = np.random.default_rng(seed)
        poorer = wear_source(crop, rng)
        assert poorer.shape == crop.shape
        assert poorer.dtype == np.uint8
        worn = wear(crop, 48, rng)
        assert worn.shape == (48, 48, 3)
        assert worn.dtype == np.uint8


def test_only_real_clips_of_the_people_named_are_prepared(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4", "notes.txt"):
        (tmp_path / name).touch()
    assert [(v.name, who) for v, who in real_clips(tmp_path, {"c": "x"})] == [
        ("a.mp4", "a"),
        ("b.mp4", "b"),
        ("c.mp4", "x"),
        ("d.mp4", "d"),
    ]
    (tmp_path / "labels.csv").write_text(
        "filename,label,method,identity\na.mp4,0,,p\nb.mp4,1,swap,p\nc.mp4,0,,q\n"
    )
    # d.mp4 is labelled by nobody: whether it is real is not known
    assert [(v.name, who) for v, who in real_clips(tmp_path, {})] == [("a.mp4", "p"), ("c.mp4", "q")]
    assert [v.name for v, _ in real_clips(tmp_path, {}, ["q"])] == ["c.mp4"]


def test_people_trained_on_are_held_out_of_no_fold(persons: list[Person]) -> None:
    for fold in range(3):
        training, held_out = split(persons, fold=fold, folds=3, seed=0, trained=["toy_2"])
        assert "toy_2" in {p.identity for p in training}
        assert held_out


def test_a_resynthesis_changes_the_face(persons: list[Person]) -> None:
    face = persons[0].faces[0]
    fake = persons[0].resynthesis(face, np.random.default_rng(1))
    difference = np.abs(fake.astype(int) - face.crop).max(axis=2)
    assert difference.max() > 3
    assert difference[:5].max() == 0


def test_align_recovers_a_known_similarity() -> None:
    angle, scale, shift = 0.3, 1.7, np.array([5.0, -3.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (TEMPLATE @ turn.T + shift).astype(np.float32)
    np.testing.assert_allclose(align(TEMPLATE, moved), np.column_stack([turn, shift]), atol=1e-4)


def test_masks_are_shares_and_lie_on_the_face() -> None:
    face = RealFace(crop=np.zeros((200, 200, 3), np.uint8), landmarks=TEMPLATE + 50)
    for key in range(30):
        mask = face_mask(face, np.random.default_rng(key))
        assert mask.min() >= 0
        assert mask.max() > 0.3
        assert mask.max() < 1 + 1e-5
        ys, xs = np.nonzero(mask > 0.25)
        assert xs.min() >= 45
        assert xs.max() <= 155
        assert ys.min() >= 45
        assert ys.max() <= 165


def test_cut_square_is_centred_and_stays_inside() -> None:
    crop = np.zeros((190, 190, 3), np.uint8)
    crop[95, 95] = 255
    square = cut_square(crop, 1.0, np.zeros(2))  # of a margin of 1.9: 100 pixels
    assert square.shape == (100, 100, 3)
    assert np.argwhere(square.max(axis=2))[0].tolist() == [50, 50]
    assert cut_square(crop, 1.8, np.array([3.0, -3.0])).shape == (180, 180, 3)


def test_auc_against_cases_done_by_hand() -> None:
    assert auc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 0.0
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5
    assert auc(np.array([0.0, 2.0]), np.array([1.0, 3.0])) == 0.75


def test_log_loss_of_zero_logits_is_ln_2() -> None:
    got = figures(np.zeros(4), np.array([0, 1, 0, 1], np.float32), ("real", "a", "real", "b"))
    assert got["log_loss"] == pytest.approx(np.log(2))
    assert got["auc_a"] == got["auc_b"] == 0.5


@pytest.mark.parametrize("kind", sorted(models.KINDS))
def test_saved_weights_load_and_predict_the_same(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(1)
    config = models.MemberConfig(kind=kind, input_size=64, temperature=1.7, bias=-0.2)
    model = models.build(config)
    images = torch.randn(4, 3, 64, 64)
    model(images)  # moves the batch statistics away from their start
    model.eval()
    path = tmp_path / "member.safetensors"
    models.save(model, config, path)
    loaded, read = models.load(path)
    assert read == config
    with torch.inference_mode():
        torch.testing.assert_close(loaded.predict(images), model.predict(images), atol=0.02, rtol=0.02)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "member.safetensors"
    plain = models.MemberConfig(kind="plain")
    models.save(models.build(plain), models.MemberConfig(kind="wsdan"), path)
    with pytest.raises(RuntimeError, match="WsDan"):
        models.load(path)


def test_a_run_that_was_stopped_ends_where_an_unbroken_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "SAVE_EVERY", 2)

    def run(name: str, steps: int) -> list[dict[str, float]]:
        arguments = train.parse(["--tiny", "--kind", "noise", "--run", str(tmp_path / name)])
        arguments.steps, arguments.score_every = steps, 2
        return train.train(arguments)

    # The schedule depends on the length of the run, so the broken run is stopped inside one of full length.
    unbroken = run("unbroken", 4)
    original = train._one_step

    def power_cut(state: State, batch: Batch) -> float:
        if state.step == 2:
            raise KeyboardInterrupt
        return original(state, batch)

    monkeypatch.setattr(train, "_one_step", power_cut)
    with pytest.raises(KeyboardInterrupt):
        run("broken", 4)
    monkeypatch.setattr(train, "_one_step", original)
    broken = run("broken", 4)
    assert broken[-1]["toy/log_loss"] == pytest.approx(unbroken[-1]["toy/log_loss"], rel=1e-5)
    one, _ = models.load(tmp_path / "unbroken" / "noise.safetensors")
    other, _ = models.load(tmp_path / "broken" / "noise.safetensors")
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, msg=name)


def test_noise_levels_find_the_patch_of_another_noise_whatever_its_colour() -> None:
    generator = torch.Generator().manual_seed(4)
    images = 0.02 * torch.randn(1, 3, 64, 64, generator=generator) + 0.3
    images[..., 20:44, 20:44] = 0.005 * torch.randn(1, 3, 24, 24, generator=generator) - 0.5
    levels = models.noise_levels(models.residuals(images)).mean(dim=1)[0]
    inside, outside = levels[26:38, 26:38].mean(), levels[:10].mean()
    # A quarter of the noise: 2 ln 4 = 2.77 in the log of the mean square.
    assert float(outside - inside) == pytest.approx(2 * np.log(4), abs=0.35)


def test_residuals_do_not_see_flat_colour_or_slopes() -> None:
    slope = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    assert float(models.residuals(slope)[..., 3:-3].abs().max()) < 1e-4


def test_wsdan_loss_reaches_every_weight() -> None:
    torch.manual_seed(2)
    config = models.MemberConfig(kind="wsdan", input_size=64)
    model = models.build(config).train()
    centres = torch.zeros(2, model.head.in_features)
    loss = loss_of(
        model,
        torch.randn(4, 3, 64, 64),
        torch.tensor([0.0, 1.0, 0.0, 1.0]),
        centres,
        torch.Generator().manual_seed(1),
    )
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    assert (centres.norm(dim=1) > 0).all()
    assert not centres.requires_grad
