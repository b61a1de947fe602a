"""LW-KD on drawn classes: a LeNet that has seen nothing but simple glyphs teaches a classifier.

    python examples/lw_kd.py

Time: about 1 minute on one CPU core.
Figure (seed 0): accuracy 0.557 on 400 drawn images, 0.547 for the student alone in as many steps
(300). One seed shows that it runs, not how much it gains.
"""

from classifier_comparison import ClassifierComparison, arguments

from keras_hkd.methods import lw_kd


def main(given):
    example = ClassifierComparison(given)
    example.train("student_alone", example.build("cnn_micro"))
    tiny = {"images_per_class": 4, "num_instances": 2, "max_steps": 2} if given.smoke else {}
    folder = given.out / "student_lw_kd"
    distiller = lw_kd(example.build("cnn_micro"), folder=folder, seed=given.seed, **tiny)
    example.train("student_lw_kd", distiller)
    example.report()


if __name__ == "__main__":
    main(arguments(__doc__))
