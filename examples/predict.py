"""Tag sentences, one on each line of standard input, their words separated by spaces.

echo "Anna Berg visits York ." | python examples/predict.py runs/demo_full
"""

import sys

import ner_dist


def main(model: str) -> None:
    tagger = ner_dist.load_tagger(model)
    sentences = [line.split() for line in sys.stdin]
    for words, tags in zip(sentences, tagger.tags(sentences), strict=True):
        for word, tag in zip(words, tags, strict=True):
            print(f"{word}\t{tag}")
        print()


if __name__ == "__main__":
    main(*sys.argv[1:])
