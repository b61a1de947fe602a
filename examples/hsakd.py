"""HSAKD on drawn classes: a teacher's branches teach the student's, by class and rotation.

    python examples/hsakd.py

Time: about 4 minutes on one CPU core.
Figure (seed 0): accuracy 0.565 on 400 drawn images, 0.550 under plain KD, 0.547 for the student
alone in as many steps (300), 0.615 for the teacher. One seed shows that it runs, not how much it
gains.
"""

from classifier_comparison import ClassifierComparison, arguments

from keras_hkd.methods import hsakd, hsakd_teacher, kd


def main(given):
    example = ClassifierComparison(given)
    teacher = example.build("cnn_micro" if given.smoke else "cnn_small", seed=99)
    example.train("teacher", teacher)
    example.train("student_alone", example.build("cnn_micro"))
    example.train("student_kd", kd(teacher, example.build("cnn_micro")))
    branches = given.out / "teacher_branches"
    with_branches = hsakd_teacher(teacher, example.images, example.settings, branches)
    example.train("student_hsakd", hsakd(with_branches, example.build("cnn_micro")))
    example.report()


if __name__ == "__main__":
    main(arguments(__doc__))
