"""Recipes: the law by which a video set is perturbed, as TOML."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from numpy.random import Generator
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.core.errors import RecipeError
from harness.core.types import AppliedPerturbation
from harness.videos.perturb.plans import Encoding, Plan, build_plan
from harness.videos.perturb.registry import (
    CATALOGUE_VERSION,
    SEVERITIES,
    LifeStage,
    catalogue,
    find,
    generator,
)
from harness.videos.perturb.steps import Canvas
from harness.videos.probe import VideoInfo

EXPECTED_DRAWS = 20_000  # how often the law is drawn to state expected shares: ± 0.7 points
CONTROL = "untouched"

Item = TypeVar("Item")
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KindRule(_Strict):
    """One kind in a recipe."""

    name: str
    weight: Weight = 1.0  # against the other kinds
    severities: Annotated[tuple[Weight, ...], Field(min_length=5, max_length=5)] = (1.0,) * 5  # of 1 to 5
    stage: str | None = None  # where in the order, if not where the registry says

    @model_validator(mode="after")
    def _known(self) -> KindRule:
        find(self.name)
        if not any(self.severities):
            raise ValueError("all severities have weight 0")
        if self.stage is not None and self.stage.upper() not in LifeStage.__members__:
            raise ValueError(
                f"no stage {self.stage!r}; use one of {', '.join(LifeStage.__members__).lower()}"
            )
        return self


class EncodeRule(_Strict):
    """The final encode, if it is not the default."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = "ultrafast"
    crf: Annotated[float, Field(ge=0, le=51)] = 23.0
    bits_per_pixel: Annotated[float, Field(gt=0, le=10)] = 0.25
    copy_untouched: bool = False  # the picture as it is coded, if no step touches it: see `copying`


class _RecipeFile(_Strict):
    name: Annotated[str, Field(min_length=1)]
    about: str = ""
    law: Literal["mixture", "grid"] = "mixture"
    catalogue: Annotated[int, Field(ge=1, le=CATALOGUE_VERSION)] = 1  # whose kinds `kinds = "all"` names
    untouched: Share = 0.0
    count: dict[Literal["1", "2", "3", "4"], Weight] = {"1": 1.0}
    kinds: tuple[KindRule, ...] = ()
    exclude: tuple[Annotated[tuple[str, ...], Field(min_length=2)], ...] = ()
    encode: EncodeRule = EncodeRule()

    @model_validator(mode="after")
    def _consistent(self) -> _RecipeFile:
        names = Counter(rule.name for rule in self.kinds)
        repeated = [name for name, times in names.items() if times > 1]
        if repeated:
            raise ValueError(f"kinds: listed twice: {', '.join(repeated)}")
        if self.law == "mixture" and self.untouched < 1 and not any(rule.weight for rule in self.kinds):
            raise ValueError("kinds: no kind with a weight, but untouched is below 1")
        if not any(self.count.values()):
            raise ValueError("count: no number of perturbations has a weight")
        for name in (name for group in self.exclude for name in group):
            find(name)
        return self

    @model_validator(mode="before")
    @classmethod
    def _all(cls, content: Any) -> Any:
        """`kinds = "all"` stands for every kind of the recipe's version of the catalogue, alike."""
        if not isinstance(content, dict) or content.get("kinds") != "all":
            return content
        version = content.get("catalogue", 1)
        known = version if isinstance(version, int) else CATALOGUE_VERSION
        return content | {"kinds": [{"name": one.name} for one in catalogue().values() if one.since <= known]}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A checked recipe. `law` is "mixture" (one drawn plan per video) or "grid" (every kind × severity)."""

    name: str
    about: str
    law: Literal["mixture", "grid"]
    untouched: float  # probability of the re-encoded control
    counts: Mapping[int, float]  # weight of 1 to 4 kinds at once
    kinds: tuple[KindRule, ...]
    exclude: tuple[frozenset[str], ...]
    encoding: Encoding

    @property
    def cells(self) -> tuple[tuple[AppliedPerturbation, ...], ...]:
        """For a grid: every output a source gets, the control first. For a mixture: none."""
        if self.law == "mixture":
            return ()
        grid = [
            (AppliedPerturbation(name=rule.name, severity=severity),)
            for rule in self.kinds
            for severity in SEVERITIES
            if rule.weight and rule.severities[severity - 1]
        ]
        return ((), *grid)


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    folder = resources.files("harness.videos.perturb") / "recipes"
    names = [item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")]
    return tuple(sorted(names))


def load_recipe(path_or_name: str | Path) -> Recipe:
    """Read a recipe from a TOML file, or one that ships with the package by its name.

    Raises:
        RecipeError: No such file or name; or what is wrong in it, with file, key and remedy, all at once.
    """
    place = str(path_or_name)
    if place in shipped_recipes():
        text = (resources.files("harness.videos.perturb") / "recipes" / f"{place}.toml").read_text("utf-8")
    else:
        try:
            text = Path(place).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            known = ", ".join(shipped_recipes())
            raise RecipeError(
                f"cannot be read: {error}", place=place, remedy=f"give a TOML file, or one of {known}"
            ) from error
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise RecipeError(f"is not TOML: {error}", place=place, remedy="correct that line") from error
    try:
        content = _RecipeFile.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(f"{_key(item['loc'])}: {item['msg']}" for item in error.errors())
        raise RecipeError(faults, place=place, remedy="correct the named keys") from error
    except RecipeError as error:
        raise RecipeError(error.message, place=f"{place}: kinds", remedy=error.remedy) from error
    return Recipe(
        name=content.name,
        about=content.about,
        law=content.law,
        untouched=content.untouched,
        counts={int(number): weight for number, weight in sorted(content.count.items())},
        kinds=content.kinds,
        exclude=tuple(frozenset(group) for group in content.exclude),
        encoding=Encoding(
            **content.encode.model_dump(exclude={"copy_untouched"}),
            copy_untouched=content.encode.copy_untouched or None,
        ),
    )


def _key(location: Sequence[Any]) -> str:
    parts = [f"[{item}]" if isinstance(item, int) else f".{item}" for item in location]
    return "".join(parts).lstrip(".") or "recipe"


def plan(recipe: Recipe, *, set_seed: int, video_id: str, info: VideoInfo, cell: int = 0) -> Plan:
    """Decide what happens to one video. Depends on nothing but the arguments: not on the other videos.

    Args:
        recipe: The law.
        set_seed: Of the video set.
        video_id: The video's file name in the source folder.
        info: What the video is. The choice of kinds and severities does not depend on it, only the details.
        cell: For a grid, which of `recipe.cells`.
    """
    chosen = (
        recipe.cells[cell] if recipe.law == "grid" else draw(recipe, generator(set_seed, video_id, "recipe"))
    )
    return build_plan(
        chosen,
        recipe=recipe.name,
        set_seed=set_seed,
        video_id=video_id,
        canvas=Canvas.of(info),
        encoding=recipe.encoding,
    )


def draw(recipe: Recipe, rng: Generator) -> tuple[AppliedPerturbation, ...]:
    """Draw kinds and severities from a mixture, in the order in which they are rendered.

    Kinds are drawn one after another by weight; what shares a group with, or is excluded by, one already
    drawn is out. If nothing is left to draw, there are fewer than the drawn number.
    """
    return _drawn(recipe, rng, partial(_rivals, recipe))


def _drawn(
    recipe: Recipe, rng: Generator, rivals: Callable[[str], frozenset[str]]
) -> tuple[AppliedPerturbation, ...]:
    if rng.random() < recipe.untouched:
        return ()
    number = _weighted(rng, list(recipe.counts), list(recipe.counts.values()))
    pool = [rule for rule in recipe.kinds if rule.weight]
    chosen: list[tuple[tuple[int, str], AppliedPerturbation]] = []
    while pool and len(chosen) < number:
        rule = _weighted(rng, pool, [candidate.weight for candidate in pool])
        severity = _weighted(rng, SEVERITIES, rule.severities)
        chosen.append((_rank(rule), AppliedPerturbation(name=rule.name, severity=severity)))
        out = rivals(rule.name)
        pool = [other for other in pool if other.name not in out]
    return tuple(item for _, item in sorted(chosen, key=lambda pair: pair[0]))


def _weighted(rng: Generator, items: Sequence[Item], weights: Sequence[float]) -> Item:
    total, threshold = sum(weights), rng.random()
    running = 0.0
    for item, weight in zip(items, weights, strict=True):
        running += weight / total
        if threshold < running:
            return item
    return next(item for item, weight in zip(reversed(items), reversed(weights), strict=True) if weight)


def _rank(rule: KindRule) -> tuple[int, str]:
    stage = find(rule.name).stage if rule.stage is None else LifeStage[rule.stage.upper()]
    return int(stage), rule.name


def _rivals(recipe: Recipe, name: str) -> frozenset[str]:
    """Return the kinds that are out once this one is drawn, itself included."""
    group = find(name).group
    alike = {rule.name for rule in recipe.kinds if find(rule.name).group == group}
    return frozenset(alike.union(*(one for one in recipe.exclude if name in one)))


def expected_shares(recipe: Recipe) -> dict[str, float]:
    """Return the share of videos that each kind is expected to touch, and "untouched": drawn, not derived.

    Drawn 20,000 times with a fixed seed, because exclusions make the closed form a sum over all orders.
    """
    if recipe.law == "grid":
        return actual_shares(recipe.cells)
    rng = generator(0, recipe.name, "expected shares")
    rivals = cache(partial(_rivals, recipe))  # of each kind once, not in every draw
    return actual_shares([_drawn(recipe, rng, rivals) for _ in range(EXPECTED_DRAWS)])


def actual_shares(applied: Sequence[Sequence[AppliedPerturbation]]) -> dict[str, float]:
    """Return the share of videos that each kind touched, and "untouched", largest first."""
    counted = Counter(item.name for items in applied for item in items)
    counted[CONTROL] = sum(not items for items in applied)
    return {name: times / max(1, len(applied)) for name, times in counted.most_common()}
