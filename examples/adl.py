"""ADL on drawn street scenes: the teacher's class scores, distilled where they are hard.

    python examples/adl.py

Time: about 8 minutes on one CPU core.
Figure (seed 0): AP50 0.107 on 150 drawn scenes, 0.122 for the student alone in as many steps (300),
0.535 for the teacher. One seed shows that it runs, not how much it gains or costs.
"""

from comparison import Comparison, arguments

from keras_hkd.methods import adl


def main(given):
    example = Comparison(given)
    example.train("student_alone", example.build_student())
    example.train("student_adl", adl(example.teacher, example.build_student()))
    example.report(teacher=example.teacher)


if __name__ == "__main__":
    main(arguments(__doc__, images=240, epochs=10))
