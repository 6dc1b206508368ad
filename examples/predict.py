"""Find the entities in text, a text on each line of standard input.

echo "Anna Berg visits York." | python examples/predict.py runs/demo_full
"""

import sys

import ner_dist


def main(model: str) -> None:
    tagger = ner_dist.load_tagger(model)
    texts = sys.stdin.read().splitlines()
    for text, entities in zip(texts, tagger.spans(texts), strict=True):
        print(text)
        for entity in entities:
            print(f"  {entity.start}-{entity.end} {entity.type} {entity.text} ({entity.probability:.2f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
