"""CoNLL columns of every kind: which lines are words, which columns hold what, and what is refused."""

from __future__ import annotations

import logging
import string
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ner_dist.data.readers import read_rows
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data
from tests.data.test_readers import sentences

MEND = "fix the line; if a word contains a space, put tabs between the columns of all lines"
MEND_TABS = "fix the line: tabs separate the columns; if white space does, set data.separator=whitespace"


@pytest.fixture
def read(tmp_path):
    def read(text: str, name: str = "a.conll", **settings):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return read_rows(path, Data(path="unused", **settings))

    return read


@pytest.fixture
def refused(read, tmp_path):
    def refused(text: str, name: str = "a.conll", **settings) -> str:
        with pytest.raises(UserError) as caught:
            read(text, name, **settings)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return refused


def lines_of(rows) -> list[int]:
    """The line of every word."""
    return [int(rows.place(word).rpartition(":")[2]) for word in range(len(rows.tags))]


TWO = [(["In", "Bern"], ["O", "B-LOC"]), (["Go"], ["O"])]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("In O\nBern B-LOC\n\nGo O", [1, 2, 4]),
        ("In O\r\nBern B-LOC\r\n\r\nGo O\r\n", [1, 2, 4]),
        ("In O\rBern B-LOC\r\rGo O\r", [1, 2, 4]),
        ("In\tO\rBern\tB-LOC\r\rGo\tO\r\n", [1, 2, 4]),
        ("In O\r\r\nBern B-LOC\r\r\n\r\r\nGo O\r\r\n", [1, 2, 4]),
        ("\ufeffIn O\nBern B-LOC\n\nGo O\n", [1, 2, 4]),
        ("In\tO \nBern\tB-LOC\t\n \t \nGo\tO\t \n", [1, 2, 4]),
        ("In O \nBern  B-LOC\t\n\n\n\nGo\tO\n", [1, 2, 6]),
        ("  In O\n  Bern B-LOC\n\n  Go O\n", [1, 2, 4]),
        ("-DOCSTART- -X-\n\nIn O\nBern B-LOC\n-DOCSTART- -X-\nGo O\n", [3, 4, 6]),
        ("Token\tTag\nIn\tO\nBern\tB-LOC\n\nGo\tO\n", [2, 3, 5]),
        ("\n# made by hand\nword ner\nIn O\nBern B-LOC\n\nGo O\n", [4, 5, 7]),
        ("id word pos ner\n1 In IN O\n2 Bern NNP B-LOC\n\n1 Go VB O\n", [2, 3, 5]),
        ("# id 1\tdomain=en\nIn _ _ O\nBern _ _ B-LOC\n\n# id 2\tdomain=en\nGo _ _ O\n", [2, 3, 6]),
        ("###MEDLINE:95369245\n\nIn\tO\nBern\tB-LOC\n\n###MEDLINE:2\n\nGo\tO\n", [3, 4, 8]),
        ("#\thttp://a.b [2009]\nIn\tO\nBern\tB-LOC\n\n#\thttp://a.c [2009]\nGo\tO\n", [2, 3, 6]),
        ("# newdoc\nIn O\n# on another page\nBern B-LOC\n# sent_id = 2\nGo O\n", [2, 4, 6]),
        ("# 0\nIn O\nBern B-LOC\n\n# 1\nGo O\n", [2, 3, 6]),
        ("# sent_id = 7\nIn _ _ O\nBern _ _ B-LOC\n\n# sent_id = 8\nGo _ _ O\n", [2, 3, 6]),
        ("#begin document (a); part 000\nIn O\nBern B-LOC\n\nGo O\n#end document\n", [2, 3, 5]),
        ("1\tIn\tO\n2\tBern\tB-LOC\n\n1\tGo\tO\n", [1, 2, 4]),
        ("0 In O\n1 Bern B-LOC\n\n0 Go O\n", [1, 2, 4]),
        ("7 In O\n8 Bern B-LOC\n\n9 Go O\n", [1, 2, 4]),
        ("1 1 In O\n1 2 Bern B-LOC\n\n2 1 Go O\n", [1, 2, 4]),
        ("4\tIn\tO\n4\tBern\tB-LOC\n\n5\tGo\tO\n", [1, 2, 4]),
        (
            "In IN B-PP O\nBern NNP B-NP B-LOC\n\nGo VB B-VP O\n",
            [1, 2, 4],
        ),
        ("In\tO\t-\tann1\nBern\tB-LOC\t-\tann1\n\nGo\tO\t-\tann1\n", [1, 2, 4]),
        ("In\tO\t0\t2\nBern\tB-LOC\t3\t7\n\nGo\tO\t9\t11\n", [1, 2, 4]),
        ("TOKEN\tNER\tMISC\n# doc = 1\nIn\tO\t_\nBern\tB-LOC\tEndOfSentence\nGo\tO\t_\n", [3, 4, 5]),
        ("# global.columns = FORM NER\nIn\tO\nBern\tB-LOC\n\nGo\tO\n", [2, 3, 5]),
        ("# newdoc\n# global.columns = ID FORM X:NE\n1\tIn\tO\n2\tBern\tB-LOC\n\n1\tGo\tO\n", [3, 4, 6]),
        (
            "# global.columns = ID FORM NER\n"
            "1-2\tInBern\t_\n1\tIn\tO\n1.1\tx\t_\n2\tBern\tB-LOC\n\n1\tGo\tO\n",
            [3, 5, 7],
        ),
        ("1-2\tInBern\tO\n1\tIn\tO\n2\tBern\tB-LOC\n\n0.1\tx\t_\n1\tGo\tO\n", [2, 3, 6]),
    ],
)
def test_the_same_two_sentences(read, text, lines):
    rows = read(text)
    assert sentences(rows) == TWO
    assert lines_of(rows) == lines
    assert rows.line_numbers.tolist() == [lines[0], lines[2]]


def conllu(*misc: str, name: str = "d.conllu") -> tuple[str, str]:
    """The two sentences in CoNLL-U, with the given cells in column MISC."""
    range_, empty = ("1-2\tInBern" + "\t_" * 8, "2.1\t_" + "\t_" * 8)
    lines = [
        f"{i}\t{word}\t_\tX\t_\t_\t0\troot\t_\t{cell}"
        for i, word, cell in zip((1, 2, 1), ("In", "Bern", "Go"), misc, strict=True)
    ]
    return "\n".join(["# sent_id = 1", range_, *lines[:2], empty, "", lines[2], ""]), name


@pytest.mark.parametrize(
    ("misc", "settings"),
    [
        (("NER=O", "SpaceAfter=No|NER=B-LOC", "NER=O"), {}),
        (("_", "name=B-LOC|SpaceAfter=No", "_"), {}),  # as in DaNE and NorNE
        (("_", "NE=B-LOC", "Entity=(e1-place"), {}),
        (("NER=O|NE=O", "NER=B-X|NE=B-LOC", "NER=O|NE=O"), {"tags_column": "MISC:NE"}),
        (("name=O", "name=B-LOC", "name=O"), {"tags_column": "MISC", "tokens_column": "FORM"}),
        (("_", "NE=B-LOC", "_"), {"tokens_column": 1}),
    ],
)
@pytest.mark.parametrize("name", ["d.conllu", "d.conllup", "d.txt"])
def test_tags_in_misc(read, misc, settings, name):
    rows = read(conllu(*misc)[0], name, **settings)
    assert sentences(rows) == TWO
    assert lines_of(rows) == [3, 4, 7]


def test_attributes_without_an_entity_are_those_of_that_name(read):
    rows = read(conllu("SpaceAfter=No|NER=O", "NER=O", "NER=O")[0])
    assert rows.values == ("O",)


def test_misc_that_does_not_say_it(refused):
    assert refused(conllu("name=O|ne=O", "name=B-LOC|ne=B-X", "_")[0]) == (
        "a.conll: name= and ne= in column MISC hold tags; "
        "set data.tags_column=MISC:name or set data.tags_column=MISC:ne"
    )
    message = refused(conllu("_", "Entity=(e1-place", "_")[0])
    assert message.startswith(
        "a.conll:3: no column holds entity tags; the columns are ID (1, 2), FORM (In, Bern, Go)"
    )
    assert message.endswith("; set data.tags_column, MISC:NAME for an attribute of column MISC")


@pytest.mark.parametrize("separator", ["tab", "\\t", None])
def test_words_that_hold_blanks(read, separator):
    rows = read(
        "27 000\tNN\tO\n New  York \tNN\tB-LOC\na\u2028b\tNN\tO\n\u00a0\tNN\tO\n", separator=separator
    )
    assert rows.tokens == [["27 000", "New  York", "a\u2028b", "\u00a0"]]


def test_tabs_in_comments_and_a_few_lines_do_not_make_tabs_the_separator(read):
    rows = read("# id 1\tdomain=en\n# x\ty\nIn O\nBern\tB-LOC\nand O\n")
    assert sentences(rows) == [(["In", "Bern", "and"], ["O", "B-LOC", "O"])]


@pytest.mark.parametrize("header", ["", "word ner pos\n"])
def test_hashtags_are_words_whichever_column_holds_the_tags(read, header):
    rows = read(f"{header}#Bern B-LOC HT\nis O VBZ\n\n# 7\nIn O IN\n#Bern B-LOC HT\n")
    assert sentences(rows) == [(["#Bern", "is"], ["B-LOC", "O"]), (["In", "#Bern"], ["O", "B-LOC"])]


def test_numbers_behind_a_hash_are_tags_where_all_tags_are_numbers(read):
    assert read("In 0\n# 0\nBern 1\n").tokens == [["In", "#", "Bern"]]
    assert read("# sent_id = 1\nIn IN x 0\nBern NNP x 1\n").tokens == [["In", "Bern"]]


def test_a_file_without_ends_of_sentences_is_said(read, caplog):
    read("In O\nBern B-LOC\n" * 300 + "\nGo O\n")
    assert not caplog.text
    read("In O\nBern B-LOC\n" * 300)
    assert (
        "a.conll: all 600 words were read as one sentence; put an empty line after each sentence"
        in caplog.text
    )


def test_words_of_which_most_hold_a_blank_are_said(read, caplog):
    read("In IN\tO\nBern NNP\tB-LOC\n")
    assert (
        "a.conll: 2 of 2 words contain a space; if white space separates the columns, "
        "set data.separator=whitespace" in caplog.text
    )
    assert read("In IN\tO\nBern NNP\tB-LOC\n", separator="whitespace").tokens == [["In", "Bern"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Bern NN -X- B-LOC\nHalden Works NN -X- B-ORG\n",
            f":2: 5 columns in 'Halden Works NN -X- B-ORG', 4 in the lines before; {MEND}",
        ),
        ("a NN O\n NN O\nb NN O\n", f":2: 2 columns in ' NN O', 3 in the lines before; {MEND}"),
        ("a O\n O\nb O\n", f":2: 1 column in ' O', 2 in the lines before; {MEND}"),
        ("a b O\nc O\nd O\n", f":1: 3 columns in 'a b O', 2 in the other lines; {MEND}"),
        ("a O\n#1 fan O\n", f":2: 3 columns in '#1 fan O', 2 in the lines before; {MEND}"),
        ("27\tO\n28 000 O\nx\tO\n", f":2: 1 column in '28 000 O', 2 in the lines before; {MEND_TABS}"),
        ("a\tNN\tO\nb\tNN\t\nc\tNN\tO\n", f":2: 2 columns in 'b NN ', 3 in the lines before; {MEND_TABS}"),
        ("a\tO\nb\tO\tO\nc\tO\n", f":2: 3 columns in 'b O O', 2 in the lines before; {MEND_TABS}"),
        (
            "a\tNN\tO\n\tNN\tB-X\n",
            ":2: no word in ' NN B-X'; write the word, remove the line, or set data.tokens_column",
        ),
        (
            "a\tNN\tO\n  \tNN\tB-X\n",
            ":2: no word in ' NN B-X'; write the word, remove the line, or set data.tokens_column",
        ),
        (
            "# global.columns = ID FORM NER\n1\ta\tb\tO\n",
            f":2: 4 columns in '1 a b O', 3 named in global.columns; {MEND_TABS}",
        ),
        (
            "one\ntwo\n",
            ":1: 1 column in 'one', not 2 or more; "
            "see data.separator, data.tokens_column and data.tags_column",
        ),
        (
            "1\ta\tB-X\tO\n2\tb\tI-X\tB-X\n",
            ":1: several columns hold tags of entities: 2 (B-X, I-X), 3 (B-X); "
            "set data.tags_column=2 or data.tags_column=3",
        ),
        (
            "token gold predicted\na B-X O\nb O B-X\n",
            ":2: several columns hold tags of entities: gold (B-X), predicted (B-X); "
            "set data.tags_column=gold or data.tags_column=predicted",
        ),
        (
            "B-Rating\t2\nI-Rating\tstart\nO\trestaurants\n",
            ":1: column 0 is read as words but holds tags (B-Rating, I-Rating); "
            "set data.tags_column=0 and data.tokens_column",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(refused, text, message):
    assert refused(text) == f"a.conll{message}"


def test_columns_by_name(read, refused):
    text = "id word pos ner\n1 In B-IN O\n2 Bern B-NN B-LOC\n"
    assert read(text, tokens_column="word", tags_column="pos").values == ("B-IN", "B-NN")
    assert refused(text, tags_column="tag") == (
        "data.tags_column: 'tag' is not a column number; the columns are id, word, pos, ner; "
        "count CoNLL columns from 0; -1 is the last"
    )


def test_what_the_messages_advise_works(read):
    nested = "1\ta\tB-X\tO\n2\tb\tI-X\tB-X\n"
    assert sentences(read(nested, tags_column=2)) == [(["a", "b"], ["B-X", "I-X"])]
    turned = "B-Rating\t2\nI-Rating\tstart\nO\trestaurants\n"
    assert read(turned, tags_column=0, tokens_column=1).tokens == [["2", "start", "restaurants"]]
    assert read("In O\nBern\tB-LOC\nand\tO\n", separator="whitespace").tokens == [["In", "Bern", "and"]]


def test_what_was_found_is_said(read, caplog):
    with caplog.at_level(logging.INFO):
        read("# made\n1\tIn\tO\tx\n2\t Bern\tB-LOC\tx\n")
    said = [record.message.rpartition("/")[2] for record in caplog.records]
    assert said == [
        "a.conll: column 0 (1, 2) numbers words or sentences, so words are read from column 1; "
        "set data.tokens_column to change this",
        "a.conll: the last column (x) holds no tags, so tags are read from column 2 (B-LOC); "
        "set data.tags_column to change this",
        "a.conll: skipped 1 comment line, the first at line 1",
        "a.conll: stripped the spaces around 1 word",
    ]


def test_numbers_that_count_nothing_are_no_words_either(read):
    text = "".join(f"{7 * place % 50}\tw{place}\tB-X\n" for place in range(20))
    assert read(text).tokens == [[f"w{place}" for place in range(20)]]
    # Nor are names of sentences; but one sentence of one number is read as it stands.
    named = "\n".join(f"S{number}\tIn\tO\nS{number}\tBern\tB-X\n" for number in range(5))
    assert read(named).tokens == [["In", "Bern"]] * 5
    assert read("1 CD O\n").tokens == [["1"]]


@pytest.mark.parametrize(
    "text",
    [
        "0 CD O\n0 NN O\n",  # the same number everywhere
        "1 CD O\n\n1 NN O\n\n0 NN O\n",  # a word a sentence
        "7 NN O\n8 NN O\n9 NN O\n",  # without another column for the words
    ],
)
def test_numbers_that_may_be_words_are_words(read, text):
    rows = read(text)
    assert [word for words in rows.tokens for word in words] == [line[0] for line in text.split("\n") if line]


def test_a_header_says_that_a_constant_number_is_no_word(read):
    assert read("sentence token ner\n0 In O\n0 Bern B-LOC\n").tokens == [["In", "Bern"]]


def test_a_column_of_chunks_is_not_read_for_the_tags_which_is_said(read, caplog):
    with caplog.at_level(logging.INFO):
        assert sentences(read("Bern NNP B-NP I-LOC\nis VB B-VP O\n")) == [(["Bern", "is"], ["I-LOC", "O"])]
    assert (
        "a.conll: tags are read from the last column (I-LOC), not from column 2 (B-NP, B-VP); "
        "set data.tags_column to change this" in caplog.text
    )


BLANKS = " \t\r\f\v\n"
a_word = (
    st.text(min_size=1, max_size=6)
    .filter(lambda text: not set(text) & set("\t\n\r") and text == text.strip(BLANKS))
    # A file that begins with one of these is a web page or XML.
    .filter(lambda text: not text.lower().startswith(("<html", "<?xml")))
)
no_blank = a_word.filter(lambda text: not set(text) & set(BLANKS))
tag = st.sampled_from(["O", "B-PER", "I-PER", "B-a/b-c"])


def drawn_sentences(word):
    return st.lists(st.lists(st.tuples(word, tag), min_size=1, max_size=5), min_size=1, max_size=4)


def check_round_trip(folder: Path, drawn, separator: str, middle: str) -> None:
    pairs = [([word for word, _ in pairs], [tag for _, tag in pairs]) for pairs in drawn]
    blocks = ("".join(f"{word}{middle}{separator}{tag}\n" for word, tag in pairs) for pairs in drawn)
    path = folder / "a.tsv"
    path.write_text("\n".join(blocks), encoding="utf-8", newline="")
    assert sentences(read_rows(path, Data(path="unused"))) == pairs


@settings(max_examples=80, deadline=None)
@given(drawn_sentences(a_word), st.sampled_from(["", "\tNN"]))
@example([[("#", "O"), ("# x", "B-PER")], [("#tag", "O")]], "")
@example([[("0", "O"), ("0", "O")]], "\tNN")
@example([[("0", "O")], [("1", "O")]], "\tNN")
@example([[("a\u2028b", "O"), ("\u00a0", "B-PER"), ('"', "O")]], "\tNN")
def test_words_in_tab_columns_are_read_as_they_were_written(tmp_path_factory, drawn, middle):
    check_round_trip(tmp_path_factory.mktemp("tabs"), drawn, "\t", middle)


@settings(max_examples=80, deadline=None)
@given(drawn_sentences(no_blank), st.sampled_from(["", " NN"]))
def test_words_in_columns_of_white_space_are_read_as_they_were_written(tmp_path_factory, drawn, middle):
    check_round_trip(tmp_path_factory.mktemp("blanks"), drawn, " ", middle)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=string.ascii_letters + "#-.\t \n12O", max_size=60))
def test_any_text_is_read_or_refused_in_a_line(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "a.tsv"
    path.write_text(text)
    try:
        rows = read_rows(path, Data(path="unused"))
    except UserError as error:
        assert "\n" not in str(error)
    else:
        filled = [number for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        assert set(lines_of(rows)) <= set(filled)
