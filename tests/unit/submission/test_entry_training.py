"""Training: what must be disjoint is, what must repeat does, and a fake is fake only where it claims."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
import training  # noqa: F401  (lets timm be imported beside a CPU build of torch)
from detector import models
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn
from training import album, autoencoders, frozen, members, pool, train, unseen, views
from training.__main__ import trainings, words_of
from training.augment import Disguise, cut_square
from training.clips import FOLDS, Clip, fold_of, read_clips, split
from training.fakes import METHODS, TEMPLATE, RealFace, align, face_mask
from training.figures import auc
from training.forge import METHOD_SHARES, Person, draw_person, forge, person_of
from training.losses import loss_of
from training.material import SHARES, Material
from training.pool import Pairs, Rendered, donors, forge_pair
from training.state import State, freeze_all_but_norms
from training.toy import toy_person


@pytest.fixture(scope="module")
def persons() -> list[Person]:
    return [toy_person(number) for number in range(7)]


def _same_identity(person: Person, identity: str) -> Person:
    return person_of(person.clip, identity, person.faces)


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
    square = cut_square(crop, 1.0, np.zeros(2), of=1.9)  # 100 pixels
    assert square.shape == (100, 100, 3)
    assert np.argwhere(square.max(axis=2))[0].tolist() == [50, 50]
    assert cut_square(crop, 1.8, np.array([3.0, -3.0]), of=1.9).shape == (180, 180, 3)


def test_auc_against_cases_done_by_hand() -> None:
    assert auc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 0.0
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5
    assert auc(np.array([0.0, 2.0]), np.array([1.0, 3.0])) == 0.75


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
        arguments.steps, arguments.score_every = steps, 3
        return train.train(arguments)

    # The schedule depends on the length of the run, so the broken run is stopped inside one of full length.
    unbroken = run("unbroken", 4)
    original = train._one_step

    def power_cut(state: State, *others: object) -> float:
        if state.step == 3:  # a step after the state was saved, and after a line was written
            raise KeyboardInterrupt
        return original(state, *others)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(train, "_one_step", power_cut)
    with pytest.raises(KeyboardInterrupt):
        run("broken", 4)
    monkeypatch.setattr(train, "_one_step", original)
    with (tmp_path / "broken" / "log.jsonl").open("a") as log:
        log.write('{"step": 4, "training')  # a kill in the middle of a line
    assert run("broken", 4) == unbroken  # each step once, and what was lost before the stop counts as well
    one, _ = models.load(tmp_path / "unbroken" / "noise.safetensors")
    other, _ = models.load(tmp_path / "broken" / "noise.safetensors")
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, msg=name)


def test_a_second_training_from_the_same_seed_gives_the_same_figures_and_weights(tmp_path: Path) -> None:
    def run(name: str, seed: int) -> tuple[list[dict[str, float]], bytes]:
        arguments = train.parse(["--tiny", "--run", str(tmp_path / name), "--seed", str(seed)])
        arguments.steps = 2
        log = train.train(arguments)
        return log, (tmp_path / name / "plain.safetensors").read_bytes()

    once, again, other = run("once", 1), run("again", 1), run("other", 2)
    assert once == again
    assert once[1] != other[1]


@pytest.mark.parametrize("kind", sorted(models.KINDS))
def test_folding_norms_changes_no_answer(kind: str) -> None:
    torch.manual_seed(1)
    model = models.build(models.MemberConfig(kind=kind)).eval()
    for module in model.modules():  # as after a training: statistics that are not 0 and 1
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.uniform_(-0.2, 0.2)
    pictures = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        before = model.predict(pictures)
        torch.testing.assert_close(models.fold_norms(model).predict(pictures), before, atol=1e-4, rtol=1e-4)
    names = {type(module).__name__ for module in model.backbone.modules()}
    assert "BatchNormAct2d" not in names


@pytest.mark.parametrize("name", sorted(members.RECIPES))
def test_every_recipe_is_a_command_line_that_training_reads(name: str) -> None:
    given = argparse.Namespace(imagenet=Path("wheel"), options=["--steps", "7"])
    words = ["--clips", "clips", "--cache", "cache", *words_of(name, 3, 2, given)]
    recipe = members.RECIPES[name]
    if recipe.frozen:
        fixed = frozen.parse([*words, "--run", "run"])
        assert (fixed.fold, fixed.imagenet) == (2, Path("wheel"))
        return
    read = train.parse(words)
    assert (read.kind, read.seed, read.fold, tuple(read.without)) == (recipe.kind, 3, 2, recipe.without)
    assert (read.learning_rate, read.pairs) == (recipe.learning_rate, recipe.pairs)
    assert read.steps == 7  # what is given by hand counts
    everything = train.parse([*words[:4], *words_of(name, 3, None, given)])
    assert everything.fold is None


def test_every_member_is_trained_once_for_each_seed_and_fold_and_the_first_seeds_come_first() -> None:
    given = argparse.Namespace(
        imagenet=Path("wheel"), options=[], cache=Path("cache"), members=["generated", "swapped"]
    )
    runs = [Path(words[-1]) for _, words in trainings(given, ["--clips", "c", "--cache", "cache"], [])]
    expected = {
        members.run_of(Path("cache/runs"), name, seed, fold)
        for name in given.members
        for seed in members.RECIPES[name].seeds
        for fold in (None, *range(FOLDS))
    }
    assert set(runs) == expected
    assert len(runs) == len(expected)
    seeds = [run.parent.name for run in runs]
    assert seeds == sorted(seeds)


def test_the_mean_of_seeds_is_the_mean_of_their_weights(tmp_path: Path) -> None:
    config = models.MemberConfig(kind="plain", input_size=64)
    for seed in (1, 2):
        torch.manual_seed(seed)
        run = members.run_of(tmp_path, "generated", seed, None)
        run.mkdir(parents=True)
        models.save(models.build(config), config, run / "plain.safetensors")
    one, two = (
        models.load(members.run_of(tmp_path, "generated", seed, None) / "plain.safetensors")[0].state_dict()
        for seed in (1, 2)
    )
    mean, read = models.load(members.average_seeds(tmp_path, "generated", None))
    assert read == config
    for name, value in mean.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (one[name] + two[name]) / 2, atol=1e-3, rtol=1e-3)
    wide = models.MemberConfig(kind="plain", input_size=96)
    models.save(models.build(wide), wide, tmp_path / "wide.safetensors")
    files = [tmp_path / "wide.safetensors", tmp_path / "generated" / "all" / "generated.safetensors"]
    with pytest.raises(ValueError, match="not of one configuration"):
        members.average(files, tmp_path / "mean.safetensors")


def test_an_output_on_frozen_features_finds_what_tells_and_counts_clips_as_it_is_told() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    features = rng.normal(size=(400, 6))
    features[:, 2] += 2 * labels
    output, bias = frozen.fit(features, labels.astype(float), np.ones(400), ridge=0.01)
    assert np.abs(output).argmax() == 2
    assert ((features @ output + bias > 0) == labels).mean() > 0.8
    weights = np.where(np.arange(400) < 200, 1.0, 0.0)
    half = frozen.fit(features[:200], labels[:200].astype(float), np.ones(200), ridge=0.01)
    np.testing.assert_allclose(frozen.fit(features, labels.astype(float), weights, ridge=0.01)[0], half[0])
    with pytest.raises(ValueError, match="only one of the two"):
        frozen.fit(features, np.zeros(400), np.ones(400))


def test_repositories_with_a_real_and_a_swapped_half_of_a_recording_are_left_out() -> None:
    clips = [
        _clip("a", "r", recording="both"),
        _clip("b", "r", label=1, recording="both"),
        _clip("c", "s", recording="both"),
        _clip("d", "r", label=1, recording="alone"),
        _clip("e", "s", label=1, recording="alone"),
    ]
    assert [clip.name for clip in frozen.usable(clips)] == ["c", "e"]


def test_a_frozen_member_goes_on_where_it_was_stopped_and_is_a_plain_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    backbone = models.build(models.MemberConfig(kind="plain")).backbone
    wheel = tmp_path / "imagenet.safetensors"
    save_file({k: v.half() for k, v in backbone.state_dict().items() if v.is_floating_point()}, wheel)
    folder, cache = tmp_path / "clips", tmp_path / "cache"
    folder.mkdir()
    (cache / "pool").mkdir(parents=True)
    names = [f"{label}{n}" for label in (0, 1) for n in range(3)]
    rows = [f"{name}.mp4,{name[0]},r{name},i{name}" for name in names]
    (folder / "clips.csv").write_text("\n".join(["file,label,repo,identity", *rows]))
    rng = np.random.default_rng(0)
    arrays = {
        "crops": rng.integers(0, 255, (6, pool.SIDE, pool.SIDE, 3), np.uint8),
        "clips": np.array(names),
        "labels": np.array([0, 0, 0, 1, 1, 1]),
        "forged": np.zeros(6, bool),
        "moments": np.zeros(6, np.int64),
    }
    for name, array in {**{f"rendered_{k}": v for k, v in arrays.items()}, "clips": np.array(["x"])}.items():
        np.save(cache / "pool" / f"{name}.npy", array)
    for name in names:
        (folder / f"{name}.mp4").touch()
    words = ["--clips", str(folder), "--cache", str(cache), "--imagenet", str(wheel), "--run"]
    once = frozen.train(frozen.parse([*words, str(tmp_path / "once")]))
    assert once["clips"] == 6
    assert once["training_auc"] == 1
    kept = sorted((cache / "features" / models.BACKBONES[0]).iterdir())
    kept[0].unlink()
    seen: list[int] = []
    features_of = frozen.features_of

    def counted(backbone: nn.Module, crops: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        seen.append(len(crops))
        return features_of(backbone, crops, size)

    monkeypatch.setattr(frozen, "features_of", counted)
    frozen.train(frozen.parse([*words, str(tmp_path / "again")]))
    assert seen == [1]  # the one that was missing
    one, other = (models.load(tmp_path / name / "plain.safetensors") for name in ("once", "again"))
    assert one[1] == other[1] == models.MemberConfig(kind="plain")
    torch.testing.assert_close(one[0].head.weight, other[0].head.weight)


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


def _clip(name: str, repository: str, *, label: int = 0, identity: str = "", recording: str = "") -> Clip:
    return Clip(
        video=Path(f"{name}.mp4"),
        label=label,
        method="Swapper (donor x)" if label else "real",
        identity=identity or name,
        repository=repository,
        recording=recording or name,
        licence="none",
    )


def _clips() -> list[Clip]:
    clips = [_clip(f"{r}{n}", r, label=n % 2) for r in "abcdefg" for n in range(4)]
    return [
        *clips,
        _clip("known", "b", identity="a0"),
        _clip("always0", "always"),
        _clip("always1", "always"),
    ]


def test_a_repository_is_held_out_in_one_fold_and_whoever_is_seen_in_it_is_not_trained_on() -> None:
    clips = _clips()
    seen: list[str] = []
    for fold in range(5):
        trained_on, held_out = split(clips, fold, always=["always"])
        assert held_out
        assert not {c.repository for c in trained_on} & {c.repository for c in held_out}
        assert not {c.identity for c in trained_on} & {c.identity for c in held_out}
        assert {"always0", "always1"} <= {c.name for c in trained_on}
        seen += [c.name for c in held_out]
    assert sorted(seen) == sorted(c.name for c in clips if c.repository != "always")
    assert split(clips, None) == (clips, [])


def test_both_labels_are_spread_over_the_folds() -> None:
    dealt = fold_of(_clips(), always=["always"])
    for fold in range(5):
        labels = {c.label for c in _clips() if dealt.get(c.repository) == fold}
        assert labels == {0, 1}


def test_a_donor_is_of_the_same_side_of_every_fold_and_seen_in_one_repository_only() -> None:
    clips = _clips()
    dealt = fold_of(clips, always=["always"])
    for clip in clips:
        allowed = donors(clip, clips, always=["always"])
        homes = {c.repository for c in clips if c.name in allowed}
        assert {dealt.get(home) for home in homes} <= {dealt.get(clip.repository)}
        assert not allowed & {"a0", "known", clip.name}


def test_clips_are_read_from_a_table_or_are_all_real(tmp_path: Path) -> None:
    bare, table = tmp_path / "bare", tmp_path / "table"
    for folder in (bare, table):
        folder.mkdir()
        for name in ("x.mp4", "y.mp4"):
            (folder / f"{folder.name}_{name}").touch()
    (bare / "notes.txt").touch()
    (table / "clips.csv").write_text(
        "file,label,method,identity,repo,licence\n"
        "table_x.mp4,1,Swapper (donor z),p,o/r,MIT\n"
        "table_y.mp4,0,,,,\n"
    )
    got = {c.name: c for c in read_clips([bare, table])}
    assert [got[n].label for n in sorted(got)] == [0, 0, 1, 0]
    assert (got["table_x"].generator, got["table_x"].repository) == ("Swapper", "o/r")
    assert (got["table_y"].identity, got["table_y"].repository) == ("table_y", "table")
    with pytest.raises(ValueError, match="same name"):
        read_clips([bare, bare])
    (table / "clips.csv").write_text("file,label\ntable_x.mp4,maybe\n")
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        read_clips([table])
    (table / "clips.csv").write_text("file,label\ngone.mp4,0\n")
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        read_clips([table])


def test_packed_pictures_come_back(persons: list[Person]) -> None:
    pictures = [face.crop for face in persons[0].faces[:3]]
    back = album.unpack("faces", album.pack("faces", pictures))
    assert len(back) == 3
    for one, other in zip(pictures, back, strict=True):
        assert one.shape == other.shape
        assert np.abs(one.astype(int) - other).mean() < 3
    assert album.unpack("none", album.pack("none", [])) == []


def _material(persons: list[Person], **options: object) -> Material:
    clips = [_clip(p.clip, p.clip) for p in persons[:4]]
    clips += [
        _clip("swap", "toy_0", label=1, identity="toy_0", recording="toy_0"),
        _clip("alone", "x", label=1),
    ]
    rng = np.random.default_rng(0)
    pairs = [forge_pair(p, persons, rng) for p in persons[:4]]
    pairs_of = Pairs(
        real=np.stack([r for r, _ in pairs]),
        fake=np.stack([f for _, f in pairs]),
        clips=np.array([p.clip for p in persons[:4]]),
    )
    shown = np.stack([np.full((pool.SIDE, pool.SIDE, 3), 40 * n, np.uint8) for n in range(6)])
    rendered = Rendered(
        crops=shown,
        clips=np.array(["toy_0", "toy_0", "toy_1", "toy_1", "swap", "alone"]),
        labels=np.array([0, 1, 0, 1, 1, 1]),
        forged=np.array([False, True, False, True, False, False]),
        moments=np.zeros(6, np.int64),
    )
    return Material(
        clips=clips,
        pool=pairs_of,
        rendered=rendered,
        redrawers=autoencoders.build().eval(),
        device=torch.device("cpu"),
        **options,  # type: ignore[arg-type]  # its values are of many types
    )


def test_the_same_step_gives_the_same_batch_and_another_step_another(persons: list[Person]) -> None:
    material = _material(persons)
    one, same, other = (material.batch(step, pairs=6, size=64, seed=1) for step in (5, 5, 6))
    torch.testing.assert_close(one.pictures, same.pictures)
    assert not torch.equal(one.pictures, other.pictures)
    assert one.labels.tolist() == [0.0, 1.0] * 6
    assert one.pictures.shape == (12, 3, 64, 64)
    assert -1 <= float(one.pictures.min()) <= float(one.pictures.max()) <= 1


def test_a_swap_stands_beside_the_recording_it_was_made_from(persons: list[Person]) -> None:
    material = _material(persons)
    twins, table = material._tables["twins"], material._tables["generated"]
    offset = material._mild_from
    # The swap of toy_0, beside toy_0 at the same moment; whoever is alone stands beside strangers.
    assert list(zip(twins.real - offset, twins.fake - offset, strict=True)) == [(0, 4)]
    assert set(table.fake - offset) == {5}
    assert set(table.real - offset) <= {0, 2}
    forged = material._tables["rendered"]
    assert list(zip(forged.real - offset, forged.fake - offset, strict=True)) == [(0, 1), (2, 3)]


def test_material_left_out_is_left_out(persons: list[Person]) -> None:
    left = _material(persons, without=["redrawn", "forged"])._tables
    assert set(left) == {"rendered", "generated", "twins"}
    with pytest.raises(ValueError, match="nothing to train on"):
        _material(persons, without=list(SHARES))


def test_the_entrys_own_square_is_the_middle_of_a_pools_picture() -> None:
    config = models.MemberConfig(kind="plain")
    assert pytest.approx(config.input_size / config.margin) == pool.SIDE / pool.MARGIN
    pictures = torch.rand(2, 3, pool.SIDE, pool.SIDE)
    torch.testing.assert_close(
        views.centre(pictures, config.input_size), pictures[:, :, 16:208, 16:208], rtol=0, atol=0
    )


def test_twins_are_cut_alike_and_an_untouched_pair_is_cut_to_the_pixel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures = torch.rand(4, 3, pool.SIDE, pool.SIDE).repeat_interleave(2, dim=0)
    seen = views.cut(pictures, 192, torch.Generator().manual_seed(1), margin=pool.MARGIN)
    torch.testing.assert_close(seen[::2], seen[1::2])
    monkeypatch.setattr(views, "UNTOUCHED", 1.0)
    middle = views.centre(pictures, 192)
    for one, own in zip(
        views.cut(pictures, 192, torch.Generator().manual_seed(2), margin=1.75), middle, strict=True
    ):
        assert min(float((one - own).abs().max()), float((one.flip(2) - own).abs().max())) < 1e-3


def test_wear_leaves_nothing_outside_of_what_a_picture_holds_and_wears_something() -> None:
    pictures = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    worn = views.wear(pictures, torch.Generator().manual_seed(2))
    assert worn.shape == pictures.shape
    assert 0 <= float(worn.min()) <= float(worn.max()) <= 1
    changed = ((worn - pictures).abs().mean(dim=(1, 2, 3)) > 1e-3).sum()
    assert changed >= 12
    same = views.wear(pictures, torch.Generator().manual_seed(2))
    torch.testing.assert_close(worn, same)


def test_compression_at_the_best_quality_loses_little_and_at_the_worst_much() -> None:
    line = torch.linspace(0, 1, 64)
    smooth = torch.stack([line.expand(64, 64), line.expand(64, 64).T, line.expand(64, 64)])[None].repeat(
        2, 1, 1, 1
    )
    quality, chosen = torch.tensor([98.0, 3.0]), torch.tensor([True, True])
    out = views._compress(smooth, quality, chosen, torch.Generator().manual_seed(3))
    best, worst = ((out - smooth).abs().mean(dim=(1, 2, 3))).tolist()
    assert best < 0.02 < worst


def test_a_redrawn_face_has_its_size_and_is_no_copy() -> None:
    faces = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    fakes = autoencoders.redraw(faces, autoencoders.build().eval(), torch.Generator().manual_seed(5))
    assert fakes.shape == faces.shape
    assert ((fakes - faces).abs().mean(dim=(1, 2, 3)) > 0.01).all()


def test_only_norms_and_head_are_trained_where_that_is_asked() -> None:
    model = models.build(models.MemberConfig(kind="plain"))
    freeze_all_but_norms(model)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert 0 < trained < 0.02 * sum(p.numel() for p in model.parameters())
    assert model.head.weight.requires_grad


def test_unseen_clips_have_one_law_whatever_they_were() -> None:
    pictures = [np.full((90, 160, 3), n, np.uint8) for n in range(round(unseen.SECONDS * unseen.RATE))]
    assert len(pictures) == 75
    assert unseen.SIDE % 2 == 0
