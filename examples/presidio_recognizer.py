"""Find personal data with Presidio and a trained model, in a text on each line of standard input.

pip install presidio-analyzer
echo "Anna Berg, DE89 3704 0044 0532 0130 00" | python examples/presidio_recognizer.py runs/demo_full
"""

import sys

import spacy
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, IbanRecognizer

import ner_dist

NAMES = {"PER": "PERSON", "LOC": "LOCATION", "ORG": "ORGANIZATION"}
"""Presidio's names of types; others keep their own."""


class NerDistRecognizer(EntityRecognizer):
    """The entities of a trained model, with its probabilities as scores."""

    def __init__(self, model: str, language: str = "en") -> None:
        self.tagger = ner_dist.load_tagger(model)
        types = [NAMES.get(name, name) for name in self.tagger.labels.types]
        super().__init__(supported_entities=types, supported_language=language, name="ner_dist")

    def load(self) -> None:
        """The model is loaded already."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        (found,) = self.tagger.spans([text])
        results = [
            RecognizerResult(NAMES.get(each.type, each.type), each.start, each.end, each.probability)
            for each in found
        ]
        return [result for result in results if result.entity_type in entities]


class Tokens(SpacyNlpEngine):
    """Presidio asks spaCy for the tokens of a text; no model of spaCy is needed for that."""

    def __init__(self, language: str = "en") -> None:
        super().__init__()
        self.nlp = {language: spacy.blank(language)}


def main(model: str) -> None:
    # Or all of Presidio's own: registry.load_predefined_recognizers(), some of which use the network.
    registry = RecognizerRegistry([NerDistRecognizer(model), IbanRecognizer(), CreditCardRecognizer()])
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=Tokens(), supported_languages=["en"])
    for line in sys.stdin.read().splitlines():
        print(line)
        for found in sorted(analyzer.analyze(line, language="en"), key=lambda each: each.start):
            text = line[found.start : found.end]
            print(f"  {found.start}-{found.end} {found.entity_type} {text} ({found.score:.2f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
