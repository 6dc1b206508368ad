"""Checks of tags and types: invalid transitions, schemes, rare and empty types, types that train lacks."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Literal

import yaml

from ner_dist import formatting
from ner_dist.data.entities import FEW
from ner_dist.data.notation import alike
from ner_dist.doctor.findings import Finding, Severity
from ner_dist.labels import extract_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ner_dist.doctor.inspected import Inspected
    from ner_dist.recipe_data import Data

_RARE = 20
"""Entities of a type below which its F1 is mostly chance."""
_LEFT_OUT = "handled: labels leaves them out"
_MANY_STRAY = 0.1
"""A larger share of stray tags is the format of a tool, and most entities are lost."""


def check_tags(
    splits: Mapping[str, Inspected],
    data: Data,
    counts: Mapping[str, int | str],
    *,
    chosen: Literal["all"] | Sequence[str] = "all",
) -> list[Finding]:
    """Findings about tags and types.

    Args:
        splits: as read, without repair.
        data: the recipe's section.
        counts: of the corpus: `<split>_scheme`.
        chosen: the types that the recipe learns (`labels`); what is wrong with others is of severity `info`.
    """
    findings = [found for split in splits.values() for found in _stray(split, data)]
    findings += _schemes(splits, counts)
    types = {name: Counter(entity.type for entity in split.entities) for name, split in splits.items()}
    findings += _types_alike(types)
    findings += _names(types)
    if "train" in splits:
        known = list(dict.fromkeys((*splits["train"].labels.types, *types["train"])))
        learnt = known if chosen == "all" else [name for name in known if name in chosen]
        findings += _empty(splits["train"], types["train"], learnt)
        findings += _few(splits["train"], types["train"], learnt)
        for name in ("validation", "test"):
            if name in splits:
                findings += _unseen(splits[name], types[name], types["train"], learnt)
    return findings


def _stray(split: Inspected, data: Data) -> list[Finding]:
    """An I- that continues no entity, which IOB2 does not allow."""
    strict = extract_spans(split.split.tags, split.split.offsets, split.labels, strict=True)
    proper = set(strict.start.tolist())
    stray = [
        entity
        for entity, start in zip(split.entities, split.spans.start.tolist(), strict=True)
        if start not in proper
    ]
    if not stray:
        return []
    share = len(stray) / len(split.entities)
    severity: Severity = "error" if share > _MANY_STRAY else "warning"
    remedy = "data.repair=begin reads each as an entity that begins there"
    if data.repair == "begin":
        severity, remedy = "info", "handled: data.repair=begin reads each as an entity"
    return [
        Finding(
            check="invalid_transitions",
            severity=severity,
            split=split.name,
            count=len(stray),
            what=f"{len(stray):,} of {formatting.counted(len(split.entities), 'entity', 'entities')} "
            f"({formatting.share(share)}) begin with an I- that continues no entity",
            effect="strict scoring counts no entity there: a model that finds it is marked wrong, "
            "and its words teach I- after O",
            remedy=remedy,
            examples=split.shown(stray),
        )
    ]


def _schemes(splits: Mapping[str, Inspected], counts: Mapping[str, int | str]) -> list[Finding]:
    """Schemes that are converted, and splits in different ones."""
    schemes = {name: str(counts.get(f"{name}_scheme", "IOB2")) for name in splits}
    findings = []
    if len(set(schemes.values())) > 1:
        each = ", ".join(f"{name} {scheme}" for name, scheme in schemes.items())
        findings.append(
            Finding(
                check="schemes_differ",
                severity="info",
                split=" and ".join(schemes),
                count=len(set(schemes.values())),
                what=f"the splits are tagged in different schemes: {each}",
                effect="none if the tools meant the same entities: each split is read in its own scheme",
                remedy="handled: all are converted to IOB2; data.files names the file of each split, if one "
                "is the wrong one",
                examples=[split.sentence(0) for split in splits.values()][:3],
            )
        )
    for name, scheme in schemes.items():
        if scheme == "IO":
            findings.append(_without_parts(splits[name]))
    return findings


def _without_parts(split: Inspected) -> Finding:
    return Finding(
        check="tags_without_parts",
        severity="info",
        split=split.name,
        count=len(split.entities),
        what="tags name types without B- and I-",
        effect="neighbouring entities of one type cannot be told apart and count as one",
        remedy="export the data with B- and I-, if the tool can",
        examples=split.shown(split.entities),
    )


def _types_alike(types: Mapping[str, Counter[str]]) -> list[Finding]:
    entities = sum(types.values(), Counter[str]())
    return [
        Finding(
            check="types_alike",
            severity="error",
            split=" and ".join(types),
            count=min(entities[name] for name in group),
            what=f"types {' and '.join(f'`{name}` ({entities[name]:,})' for name in group)} differ only in "
            "case, blanks or hyphens",
            effect="they are learnt and scored as different types, so each is an error of the other",
            remedy=f"spell them alike in the data: replace `{min(group, key=lambda n: entities[n])}` by "
            f"`{max(group, key=lambda n: entities[n])}`",
        )
        for group in alike(entities)
    ]


def _names(types: Mapping[str, Counter[str]]) -> list[Finding]:
    odd = sorted({name for counts in types.values() for name in counts if set(name) & set('/\\:*?"<>|')})
    if not odd:
        return []
    return [
        Finding(
            check="type_names",
            severity="info",
            split=" and ".join(types),
            count=len(odd),
            what=f"names of types hold characters that file names cannot: {formatting.joined(odd, most=5)}",
            effect="none here; scripts that write a file a type fail",
            remedy="no key is needed",
        )
    ]


def _empty(train: Inspected, counts: Counter[str], learnt: Sequence[str]) -> list[Finding]:
    """Types of the data without an entity in train."""
    empty = [name for name in train.labels.types if not counts[name]]
    return [
        Finding(
            check="empty_types",
            severity="info" if handled else "warning",
            split="train",
            count=len(own),
            what=f"train has no entity of {formatting.joined(own, most=8)}",
            effect="the model has an output for each that is never right, and cannot find them",
            remedy=_LEFT_OUT if handled else _labels(name for name in learnt if counts[name]),
        )
        for handled, own in _by_handled(empty, learnt)
    ]


def _few(train: Inspected, counts: Counter[str], learnt: Sequence[str]) -> list[Finding]:
    """Types with too few entities in train to learn from, or to score."""
    few = [name for name, count in counts.items() if 0 < count < FEW]
    rare = [name for name, count in counts.items() if FEW <= count < _RARE]
    of_few = "too few to learn from: recall will be near 0, which pulls macro F1 down"
    of_rare = "F1 of these types depends on chance: one seed says little"
    findings = []
    for names, most, severity, effect in ((few, FEW, "warning", of_few), (rare, _RARE, "info", of_rare)):
        for handled, own in _by_handled(names, learnt):
            findings.append(
                Finding(
                    check="rare_types",
                    severity="info" if handled else severity,  # type: ignore[arg-type]
                    split="train",
                    count=len(own),
                    what=f"fewer than {most} entities of {_with_counts(own, counts)}",
                    effect=effect,
                    remedy=_LEFT_OUT
                    if handled
                    else "annotate more, or leave the types out with "
                    f"{_labels(name for name in learnt if counts[name] and name not in own)}; compare over "
                    "several train.seed",
                    examples=train.shown(entity for entity in train.entities if entity.type in own),
                )
            )
    return findings


def _unseen(
    split: Inspected, counts: Counter[str], train: Counter[str], learnt: Sequence[str]
) -> list[Finding]:
    """Entities of types that train does not contain."""
    findings = []
    for handled, own in _by_handled([name for name in counts if not train[name]], learnt):
        entities = [entity for entity in split.entities if entity.type in own]
        labels = _labels(name for name in learnt if train[name])
        findings.append(
            Finding(
                check="types_not_in_train",
                severity="info" if handled else "error",
                split=split.name,
                count=len(entities),
                what=f"{len(entities):,} of {formatting.counted(len(split.entities), 'entity', 'entities')} "
                f"are of types that train does not contain: {_with_counts(own, counts)}",
                effect="no model can find them, so they lower recall by a constant",
                remedy=_LEFT_OUT
                if handled
                else f"{labels} leaves them out; check data.files.{split.name} if the files should have the "
                "same types",
                examples=split.shown(entities),
            )
        )
    return findings


def _by_handled(names: Sequence[str], learnt: Sequence[str]) -> Iterator[tuple[bool, list[str]]]:
    """Types that the recipe learns, and those that its `labels` leave out; neither if there are none."""
    for handled in (False, True):
        if own := [name for name in names if (name not in learnt) == handled]:
            yield handled, own


def _with_counts(names: Sequence[str], counts: Counter[str]) -> str:
    return formatting.joined([f"{name} ({counts[name]})" for name in names], most=8)


def _labels(names: Iterable[str]) -> str:
    """The key that chooses types, as a recipe takes it: `NO` and the like are quoted."""
    text: str = yaml.safe_dump(list(names), default_flow_style=True, allow_unicode=True, width=math.inf)
    return f"labels: {text.strip()}"
