"""Tell words from comments in a CoNLL file: either may begin with `#`."""

from __future__ import annotations

import numpy as np

from ner_dist.data.cells import BLANKS, SAMPLE, Cells
from ner_dist.data.tag_shapes import TAG_NAMES, are_tags, is_outside, is_prefixed

_NEW_SENTENCE = r"^#\s*(\S*:)?(sent_id|newdoc|newpar|document_id|id)\b|^#(begin|end)\b"


def find_comments(cells: Cells, documents: np.ndarray, tags: int) -> np.ndarray:
    """Find comments, bool [lines]: lines that start with `#` and hold no word.

    A word may be `#` or start with it. A line holds a word if it looks like the lines without `#`: the same
    number of columns, and a tag in the tag column. Within a sentence, a tag at the end is enough, so that a
    line with an extra column is found.

    Args:
        cells: the file.
        documents: bool [lines]: lines that begin a document, neither words nor comments.
        tags: index of a tag column.
    """
    import pyarrow.compute as pc

    hashes: np.ndarray = cells.filled & pc.starts_with(cells.lines, "#").to_numpy(zero_copy_only=False)
    plain = cells.filled & ~hashes & ~documents
    marked = np.flatnonzero(hashes)
    if not len(marked):
        return hashes
    usual = int(np.bincount(cells.widths[plain]).argmax()) if plain.any() else 2
    as_wide = cells.widths[marked] == max(usual, 2)
    tag_at, known = _telling_column(cells, np.flatnonzero(plain & (cells.widths == usual)), usual, tags)
    # A number is a tag where tags are numbers; else it counts sentences: `# 7`.
    numbered = not known or any(map(str.isdecimal, known))
    tagged = np.zeros(len(marked), dtype=bool)
    for here, number in ((as_wide, tag_at), (~as_wide, -1)):
        encoded = cells.take(marked[here], number).dictionary_encode()
        distinct = [tag.strip(BLANKS) for tag in encoded.dictionary.to_pylist()]
        like_a_tag = [tag in known or (is_tag(tag) and (numbered or not tag.isdecimal())) for tag in distinct]
        tagged[here] = np.array(like_a_tag, dtype=bool)[encoded.indices.to_numpy()] if like_a_tag else False
    spaced = pc.match_substring_regex(cells.lines.take(marked), r"^#[ \t]").to_numpy(zero_copy_only=False)
    # The last line before each that has no `#`: nothing there, and the sentence has not begun.
    before = np.maximum.accumulate(np.where(hashes, -1, np.arange(len(hashes))))[marked]
    opening = (before < 0) | ~plain[np.maximum(before, 0)]
    stated = pc.match_substring_regex(cells.lines.take(marked), r"^#\s*[\w.:-]+\s*=").to_numpy(
        zero_copy_only=False
    )
    # `# sent_id = 7` is as wide as a word with its tag and two columns between them.
    surely = pc.match_substring_regex(cells.lines.take(marked), r"^# *[\w.:-]+ += ").to_numpy(
        zero_copy_only=False
    )
    word = tagged & ~surely & (as_wide | ~(stated | (spaced & opening)))
    hashes[marked[word]] = False
    return hashes


def starting_sentences(cells: Cells, comments: np.ndarray) -> np.ndarray:
    """Find comments that start a new sentence or document, bool [lines]."""
    import pyarrow.compute as pc

    marked = np.flatnonzero(comments)
    found = np.zeros(len(comments), dtype=bool)
    if len(marked):
        starting = pc.match_substring_regex(cells.lines.take(marked), _NEW_SENTENCE)
        found[marked] = starting.to_numpy(zero_copy_only=False)
    return found


def _telling_column(cells: Cells, at: np.ndarray, width: int, tags: int) -> tuple[int, set[str]]:
    """The index of a column that holds tags in the given lines, all of one width, and its distinct cells.

    It is `tags`, unless only another column certainly holds tags. A column of chunks tells words from
    comments as well as a column of entities.
    """
    first = tags if -width <= tags < width else -1
    for number in (first, *range(width - 1, 0, -1)) if width > 1 else ():
        found = cells.take(at[:SAMPLE], number).unique().to_pylist()
        distinct = {cell.strip(BLANKS) for cell in found}
        distinct = {cell for cell in distinct if cell.lower() not in TAG_NAMES}  # a header is there still
        if are_tags(distinct) or distinct == {"O"}:
            first = number
            break
    found = cells.take(at, first).unique().to_pylist() if width > 1 else []
    return first, {cell.strip(BLANKS) for cell in found}


def is_tag(text: str) -> bool:
    """Whether a cell may be a tag, in words or as an id."""
    return is_outside(text) or is_prefixed(text) or text.isdecimal()
