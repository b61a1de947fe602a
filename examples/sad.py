"""SAD on drawn street scenes: few labelled images, and more that only the teacher has labelled.

    python examples/sad.py

Time: about 5 minutes on two idle CPU cores (400 s of CPU time).
Figure (seed 0): AP50 0.133 on 150 scenes with 60 labelled and 240 unlabelled ones, 0.087 for the
student alone in as many steps (280), 0.535 for the teacher. One seed shows that it runs, not how
much it gains.
"""

from comparison import Comparison, arguments

from keras_hkd.data import load_unlabelled
from keras_hkd.methods import sad
from keras_hkd.training import semi_supervised

UNLABELLED_PER_LABELLED = 4


def main(given):
    example = Comparison(given)
    example.train("student_alone", example.build_student())
    count = UNLABELLED_PER_LABELLED * given.images
    unlabelled = load_unlabelled(example.scenes("example-unlabelled", count))
    labels = given.out / "pseudo_labels.json"
    both = semi_supervised(example.teacher, example.labelled, unlabelled, labels)
    distiller = sad(example.teacher, example.build_student())
    # An epoch of two streams has twice the steps: half the epochs are the same work.
    example.train("student_sad", distiller, both, epochs=max(1, given.epochs // 2))
    example.report(teacher=example.teacher)


if __name__ == "__main__":
    main(arguments(__doc__, images=60, epochs=40))
