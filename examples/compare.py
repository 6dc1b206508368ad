"""Compare two runs, and print by how much the second is better on the entity types that both know.

python examples/compare.py runs/demo_full runs/demo_subset comparison
"""

import sys

import ner_dist


def main(a: str, b: str, out: str) -> None:
    comparison = ner_dist.compare(a, b, out=out, names={"A": a, "B": b})
    shared = comparison.shared
    first, second = shared.models["A"].f1, shared.models["B"].f1
    print(f"{shared.sentences} sentences, types {', '.join(shared.types)}")
    print(f"{a}: F1 {first:.4f}")
    print(f"{b}: F1 {second:.4f} ({second - first:+.4f})")
    print(f"the report is in {out}/report.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
