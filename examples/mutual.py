"""Mutual learning on drawn street scenes: two students teach each other, one is kept.

    python examples/mutual.py

Time: about 10 minutes on one CPU core.
Figure (seed 0): AP50 0.103 on 150 drawn scenes (0.090 for its peer), 0.122 for the student alone in
as many steps (300). One seed shows that it runs, not how much it gains or costs.
"""

from comparison import Comparison, arguments

from keras_hkd.methods import mutual


def main(given):
    example = Comparison(given)
    example.train("student_alone", example.build_student())
    peer = example.build_student(seed=given.seed + 1000)
    example.train("student_mutual", mutual(peer, example.build_student()))
    example.report(peer=peer)


if __name__ == "__main__":
    main(arguments(__doc__, images=240, epochs=10))
