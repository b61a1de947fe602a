"""ADL on drawn street scenes: the teacher's class scores, distilled where they are hard.

    python examples/adl.py

Time: about 5 minutes on two idle CPU cores (estimated from examples/sad.py, 300 steps each).
Figure: not measured yet. One seed would show that it runs, not how much it gains.
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
