"""spaCy's component sets the entities that the tagger finds in spaCy's own words, also once it is saved."""

from __future__ import annotations

import configparser
from importlib import import_module

import pytest

import ner_dist
from tests.conftest import REPOSITORY

spacy = pytest.importorskip("spacy")

from spacy.tokens import Doc, Span  # noqa: E402

from ner_dist.integrations import spacy_component  # noqa: E402
from ner_dist.prediction.items import Item  # noqa: E402

TEXTS = [
    "Anna Berg visits York. Bo left  Łódź\n\nyesterday!",
    "",
    " \n ",
    "The University of Nerenlow opened near Mount Ferdelli, didn't it? " * 8,
    "👩‍👩‍👧 Anna\u0301 met שלום in York",
]


@pytest.fixture
def nlp(run):
    """A pipeline with the component alone."""
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_dist", config={"model": str(run), "device": "cpu"})
    return nlp


def tags_of(doc: Doc) -> list[str]:
    """The IOB2 tag of every token that is no blank."""
    tokens = [token for token in doc if not token.is_space]
    return [f"{each.ent_iob_}-{each.ent_type_}" if each.ent_type_ else "O" for each in tokens]


def entities(doc: Doc):
    return [(span.start_char, span.end_char, span.label_, span._.probability) for span in doc.ents]


def test_the_entry_point_is_the_factory():
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    name, _, value = setup["options.entry_points"]["spacy_factories"].strip().partition(" = ")
    module, _, function = value.partition(":")
    assert name == "ner_dist" and getattr(import_module(module), function) is spacy_component.make_component


def test_tokens_have_the_tags_that_the_tagger_gives_them(nlp, tagger):
    nlp.add_pipe("sentencizer", first=True)
    found = 0
    for doc in nlp.pipe(TEXTS):
        sentences = [[token.text for token in sentence if not token.is_space] for sentence in doc.sents]
        expected = [tag for tags in tagger.tags(sentences) for tag in tags]
        assert tags_of(doc) == expected
        found += len(doc.ents)
        assert all(span.text == span.text.strip() for span in doc.ents)
    assert found > 5


def test_texts_without_sentences_are_cut_as_the_tagger_cuts_them(run, tagger):
    """With words as the model's own rule cuts them, the entities are those of `Tagger.spans`."""
    nlp = spacy.blank("en")
    component = nlp.add_pipe("ner_dist", config={"model": str(run), "device": "cpu"})
    for text in TEXTS:
        (item,) = tagger.tag_items([Item(text=text)])
        words, spaces, at = [], [], 0
        for start, end in item.chars:
            if start > at:
                words.append(text[at:start])
                spaces.append(False)
            words.append(text[start:end])
            spaces.append(False)
            at = end
        if at < len(text):
            words.append(text[at:])
            spaces.append(False)
        doc = Doc(nlp.vocab, words=words, spaces=spaces)
        assert doc.text == text
        expected = [(each.start, each.end, each.type, each.probability) for each in item.entities]
        assert entities(component(doc)) == expected


def test_batches_change_nothing(nlp):
    one_by_one = [entities(nlp(text)) for text in TEXTS]
    assert [entities(doc) for doc in nlp.pipe(TEXTS, batch_size=2)] == one_by_one
    assert [entities(doc) for doc in nlp.pipe(TEXTS)] == one_by_one
    assert any(one_by_one)


def test_entities_of_earlier_components_stay(nlp):
    first = next(span for span in nlp(TEXTS[3]).ents)
    words = [token.text for token in nlp.make_doc(TEXTS[3])][first.start : first.end]
    ruler = nlp.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "MINE", "pattern": " ".join(words)}])
    doc = nlp(TEXTS[3])
    own = [span for span in doc.ents if span.label_ == "MINE"]
    assert own and own[0].start == first.start and own[0]._.probability is None


def test_a_saved_pipeline_needs_nothing_else(run, nlp, tmp_path):
    expected = [entities(doc) for doc in nlp.pipe(TEXTS)]
    nlp.to_disk(tmp_path / "saved")
    config = tmp_path / "saved" / "config.cfg"
    config.write_text(config.read_text().replace(str(run), "/gone"))
    loaded = spacy.load(tmp_path / "saved")
    assert [entities(doc) for doc in loaded.pipe(TEXTS)] == expected
    assert loaded.pipe_labels["ner_dist"] == nlp.pipe_labels["ner_dist"] != []
    # A loaded pipeline can be saved again.
    loaded.to_disk(tmp_path / "again")
    assert [entities(doc) for doc in spacy.load(tmp_path / "again").pipe(TEXTS)] == expected


def test_a_model_that_is_none_is_refused_when_it_is_needed(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_dist", config={"model": str(tmp_path)})
    with pytest.raises(ner_dist.UserError, match=str(tmp_path)):
        nlp("Anna visits York.")


def test_the_probability_is_declared():
    assert Span.has_extension("probability")
