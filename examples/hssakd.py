"""HSSAKD on drawn classes: two students with branches teach each other, one is kept.

    python examples/hssakd.py

Time: about 3 minutes on one CPU core.
Figure (seed 0): accuracy 0.537 on 400 drawn images (0.515 for its peer), 0.547 for the student
alone in as many steps (300). One seed shows that it runs, not how much it gains.
"""

from classifier_comparison import ClassifierComparison, arguments

from keras_hkd.methods import hssakd


def main(given):
    example = ClassifierComparison(given)
    example.train("student_alone", example.build("cnn_micro"))
    peer = example.build("cnn_micro", seed=1000)
    example.train("student_hssakd", hssakd(peer, example.build("cnn_micro")))
    example.report(peer=peer)


if __name__ == "__main__":
    main(arguments(__doc__))
