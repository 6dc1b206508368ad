"""The embedded corpus (`data.path: synthetic`): sentences with the 15 MultiNERD types, made from a seed.

It needs no network and trains in minutes, yet poses what real data poses: types as skewed as
MultiNERD's; names that only the context tells apart (`Marlow` a person, a town or a club); names in
names (`Bank of Torvik` is one ORG); names of several words; test names that training never shows;
wrong labels in training, as in silver data; typos and lost capitals; a few repeated sentences and
a few test sentences that also stand in training. The words are in `synthetic_words.py`.

Only `random.Random(text).random()` is drawn from, whose values Python guarantees for all platforms
and versions; each split has a stream of its own, so its sentences do not depend on the others' sizes
(except that training avoids, and in a few places repeats, held-out sentences).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import TypeVar

from ner_dist import recipe_data
from ner_dist.data import synthetic_words as words

Sentence = tuple[list[str], list[str]]
"""Words and their BIO tags, of the same length."""

# Entities of each type in MultiNERD's English test split. SOFTENING lifts the rare types to a support
# that can be learnt and scored in a small corpus; the order stays.
MULTINERD_SUPPORT = {
    "LOC": 24015, "PER": 10525, "ORG": 6614, "ANIM": 3208, "PLANT": 1788, "DIS": 1517, "FOOD": 1132,
    "MEDIA": 916, "EVE": 704, "TIME": 578, "CEL": 82, "MYTH": 64, "VEHI": 64, "INST": 24, "BIO": 16,
}  # fmt: skip
SOFTENING = 400
TYPES = tuple(MULTINERD_SUPPORT)
TARGET_SHARES = {
    entity_type: (support + SOFTENING) / (sum(MULTINERD_SUPPORT.values()) + SOFTENING * len(TYPES))
    for entity_type, support in MULTINERD_SUPPORT.items()
}

SHARED = "shared"
NAME_SPLITS = ("train", "validation", "test")
# Share of a split's mentions that name something no other split names. Training has many such names,
# most of them seen once or twice: from these a model learns what names look like, not a list of them.
OWN_NAMES = {"train": 0.5, "validation": 0.34, "test": 0.34}
POOL_SIZES = {SHARED: 1.0, "train": 8.0, "validation": 0.5, "test": 0.5}
AMBIGUOUS_NAMES = 0.08  # share of mentions by a string that also names another type
HOMONYMS = 40  # coined strings that are a town, a person and a club
ENTITY_FREE = 0.10  # share of sentences that are planned without a name
ANY_CONTEXT = 0.04  # share of main clauses that do not tell the type
LOWER_CASED = 0.02  # share of sentences that lost their capitals
TYPOS = 0.004  # share of words with two letters swapped
LABEL_NOISE = 0.03  # share of training names with a missing, cut or wrong tag
REPEATED = 0.004  # share of a split's sentences that are copies of another one
LEAKED = 0.005  # share of test sentences that are copied to training
NUMBERS = {"year": (1650, 2010), "number": (100, 9000), "age": (20, 99), "digits": (100, 999)}

T = TypeVar("T")


def generate(settings: recipe_data.Synthetic) -> dict[str, list[Sentence]]:
    """The splits `train`, `validation` and `test`, each a list of (words, BIO tags).

    The same settings give the same sentences on every machine. Held-out sentences do not change
    with the size of training.
    """
    names = Names(settings.seed)
    taken: set[tuple[str, ...]] = set()
    splits = {
        split: Writer(Dice(f"{settings.seed}/{split}"), names, split).write(getattr(settings, split), taken)
        for split in ("test", "validation", "train")
    }
    dice = Dice(f"{settings.seed}/noise")
    train, test = splits["train"], splits["test"]
    for _ in range(min(round(LEAKED * len(test)), len(train) // 2)):
        train[dice.below(len(train))] = dice.pick(test)
    splits["train"] = [(list(tokens), spoil_tags(tags, dice)) for tokens, tags in train]
    return {split: splits[split] for split in NAME_SPLITS}


class Dice:
    """Random choices by `random.Random(text).random()` alone."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def below(self, count: int) -> int:
        return int(self.random() * count)

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def pick_early(self, items: Sequence[T]) -> T:
        """One of the items, the first ones far more often: a few names are everywhere, most are rare."""
        position = self.random()
        return items[int(position * position * len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        return [items[i] for _, i in sorted((self.random(), i) for i in range(len(items)))]


class Names:
    """The names of the corpus' world: those that every split may use, and those of one split alone.

    `pools[group, type]` lists names (tuples of words), where the group is `SHARED` or a split.
    """

    def __init__(self, seed: int) -> None:
        self.dice = Dice(f"{seed}/names")
        self.vocabulary = self._vocabulary()
        self.pools: dict[tuple[str, str], list[tuple[str, ...]]] = {}
        self.ambiguous: dict[str, list[tuple[str, ...]]] = {}
        self._owner: dict[str, str] = {}
        self._add_ambiguous()
        for group in (SHARED, *NAME_SPLITS):
            for entity_type in TYPES:
                self.pools[group, entity_type] = self._pool(group, entity_type)

    def draw(self, entity_type: str, split: str, dice: Dice) -> tuple[str, ...]:
        """A name for one mention in a sentence of the split."""
        if entity_type in self.ambiguous and dice.chance(AMBIGUOUS_NAMES):
            return dice.pick(self.ambiguous[entity_type])
        group = split if dice.chance(OWN_NAMES[split]) else SHARED
        return dice.pick_early(self.pools[group, entity_type])

    def _vocabulary(self) -> dict[tuple[str, str], list[str]]:
        """Words of each list for each group; a short list belongs to everyone."""
        vocabulary: dict[tuple[str, str], list[str]] = {}
        for symbol, parts in words.COINED.items():
            combinations = [""]
            for part in parts:
                combinations = [start + end for start in combinations for end in part]
            coined = self.dice.shuffled(list(dict.fromkeys(combinations)))
            _share_out(vocabulary, symbol, coined, shared=min(len(coined) // 3, 200), own=len(coined) // 10)
        for symbol, listed in words.CLOSED.items():
            own = len(listed) // 8 if len(listed) > 12 else 0
            _share_out(vocabulary, symbol, self.dice.shuffled(listed), shared=len(listed) - 3 * own, own=own)
        return vocabulary

    def _add_ambiguous(self) -> None:
        towns: list[tuple[str, ...]] = [(town,) for town in self.vocabulary[SHARED, "town"][:HOMONYMS]]
        self.ambiguous.update({"LOC": towns, "PER": list(towns), "ORG": list(towns)})
        for entity_types, shared in words.AMBIGUOUS.items():
            for entity_type in entity_types:
                self.ambiguous.setdefault(entity_type, []).extend((name,) for name in shared)
        for group in self.ambiguous.values():
            self._owner.update((" ".join(name), SHARED) for name in group)

    def _pool(self, group: str, entity_type: str) -> list[tuple[str, ...]]:
        share = TARGET_SHARES[entity_type]
        size = round((16 + 500 * share) * POOL_SIZES[group])
        pool: dict[tuple[str, ...], None] = {}
        for _ in range(20 * size):
            name = self._coin(self.dice.pick(words.NAME_PATTERNS[entity_type]), group)
            if self._owner.setdefault(" ".join(name), group) == group:
                pool[name] = None
            if len(pool) == size:
                break
        return list(pool)

    def _coin(self, pattern: str, group: str) -> tuple[str, ...]:
        name: list[str] = []
        for part in pattern.split():
            if part.startswith("$"):
                name.extend(self._word(part[1:], group).split())
            else:
                name.append(part)
        return tuple(name)

    def _word(self, symbol: str, group: str) -> str:
        if symbol in NUMBERS:
            return number(symbol, self.dice)
        own = self.vocabulary[group, symbol]
        return self.dice.pick(own if own and self.dice.chance(0.7) else self.vocabulary[SHARED, symbol])


def _share_out(
    vocabulary: dict[tuple[str, str], list[str]], symbol: str, listed: list[str], *, shared: int, own: int
) -> None:
    """Gives each held-out split `own` words and training what remains after the shared ones."""
    vocabulary[SHARED, symbol] = listed[:shared]
    vocabulary["test", symbol] = listed[shared : shared + own]
    vocabulary["validation", symbol] = listed[shared + own : shared + 2 * own]
    vocabulary["train", symbol] = listed[shared + 2 * own :]


class Writer:
    """Writes the sentences of one split so that the share of each type comes out as planned."""

    def __init__(self, dice: Dice, names: Names, split: str) -> None:
        self.dice, self.names, self.split = dice, names, split
        self.mentions = dict.fromkeys(TYPES, 0)

    def write(self, count: int, taken: set[tuple[str, ...]]) -> list[Sentence]:
        """`count` sentences, none in `taken` (to which they are added) except the planned repeats."""
        repeats = round(REPEATED * count)
        sentences = [self._new_sentence(taken) for _ in range(count - repeats)]
        for _ in range(repeats):
            tokens, tags = self.dice.pick(sentences)
            sentences.insert(self.dice.below(len(sentences)), (list(tokens), list(tags)))
        return sentences

    def _new_sentence(self, taken: set[tuple[str, ...]]) -> Sentence:
        focus = None if self.dice.chance(ENTITY_FREE) else self._most_wanted()
        for _ in range(20):
            tokens, tags = self._sentence(focus)
            if tuple(tokens) not in taken:
                break
        taken.add(tuple(tokens))
        for tag in tags:
            if tag.startswith("B-"):
                self.mentions[tag[2:]] += 1
        return tokens, tags

    def _most_wanted(self) -> str:
        """The type that is furthest behind its share of the names written so far."""
        total = sum(self.mentions.values()) + 1
        return max(
            TYPES, key=lambda entity_type: TARGET_SHARES[entity_type] * total - self.mentions[entity_type]
        )

    def _sentence(self, focus: str | None) -> Sentence:
        dice = self.dice
        tokens: list[str] = []
        tags: list[str] = []
        if dice.chance(0.2):
            self._expand(dice.pick(words.OPENINGS) + " ,", focus, tokens, tags)
        self._clause(focus, tokens, tags)
        for modifier in dice.shuffled(words.MODIFIERS):
            if len(tokens) >= 28 or not dice.chance(0.35):
                break
            self._expand(modifier, focus, tokens, tags)
        if len(tokens) < 24 and dice.chance(0.3):
            self._expand(dice.pick(words.LINKS), focus, tokens, tags)
            self._clause(None if dice.chance(0.4) else dice.pick(("LOC", "PER", "ORG")), tokens, tags)
        tokens.append(".")
        tags.append("O")
        _mend_articles(tokens)
        tokens[0] = tokens[0][:1].upper() + tokens[0][1:]
        return self._misspell(tokens), tags

    def _clause(self, focus: str | None, tokens: list[str], tags: list[str]) -> None:
        if focus is None:
            patterns = words.PLAIN_CLAUSES
        elif self.dice.chance(ANY_CONTEXT):
            patterns = words.ANY_CLAUSES
        else:
            patterns = words.CLAUSES[focus]
        self._expand(self.dice.pick(patterns), focus, tokens, tags)

    def _expand(self, pattern: str, focus: str | None, tokens: list[str], tags: list[str]) -> None:
        for part in pattern.split():
            entity_type = focus if part == "ANY" else part
            if entity_type in self.mentions:
                name = self.names.draw(entity_type, self.split, self.dice)
                tokens.extend(name)
                tags.extend([f"B-{entity_type}"] + [f"I-{entity_type}"] * (len(name) - 1))
                continue
            filler = self._filler(part[1:]) if part.startswith("$") else [part]
            tokens.extend(filler)
            tags.extend(["O"] * len(filler))

    def _filler(self, symbol: str) -> list[str]:
        if symbol in NUMBERS:
            return [number(symbol, self.dice)]
        listed = words.FILLERS.get(symbol) or self.names.vocabulary[SHARED, symbol]
        return self.dice.pick(listed).split()

    def _misspell(self, tokens: list[str]) -> list[str]:
        if self.dice.chance(LOWER_CASED):
            tokens = [token.lower() for token in tokens]
        for i, token in enumerate(tokens):
            if len(token) > 4 and self.dice.chance(TYPOS):
                j = 1 + self.dice.below(len(token) - 2)
                tokens[i] = token[:j] + token[j + 1] + token[j] + token[j + 2 :]
        return tokens


def _mend_articles(tokens: list[str]) -> None:
    for i, (token, following) in enumerate(itertools.pairwise(tokens)):
        if token in ("a", "A") and following[0] in "aeiouAEIO":
            tokens[i] = token + "n"


def number(symbol: str, dice: Dice) -> str:
    """A number in digits, within the bounds that NUMBERS gives for this kind."""
    low, high = NUMBERS[symbol]
    return str(low + dice.below(high - low))


def spoil_tags(tags: list[str], dice: Dice) -> list[str]:
    """The tags with some names lost, cut by a word or given another type; still valid BIO."""
    spoilt = list(tags)
    for start, tag in enumerate(tags):
        if not tag.startswith("B-") or not dice.chance(LABEL_NOISE):
            continue
        end = start + 1
        while end < len(tags) and tags[end].startswith("I-"):
            end += 1
        mistake = dice.below(3)
        if mistake == 0:
            spoilt[start:end] = ["O"] * (end - start)
        elif mistake == 1 and end - start > 1:
            spoilt[end - 1] = "O"
        else:
            wrong = dice.pick(TYPES)
            spoilt[start:end] = [f"{tag[:2]}{wrong}" for tag in tags[start:end]]
    return spoilt
