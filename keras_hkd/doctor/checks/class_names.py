"""Whether data, student and teacher mean the same classes by the same names."""

from keras_hkd.data.classes import canonical
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, ok, warning
from keras_hkd.training.batches import check_fits


@check(order=10, cheap=True)
def class_names(case: Case) -> Finding:
    """Compare the names of the classes, which is how all three find one another's."""
    check_fits(case.student, case.dataset)  # refuses labels of other classes
    wanted = case.student.class_names
    known = wanted if case.teacher is None else case.teacher.class_names
    missing = [name for name in wanted if name not in known]
    if not missing:
        who = "Data and student" if case.teacher is None else "Data, student and teacher"
        return ok(f"{who} agree on the classes: {', '.join(wanted)}.", classes=list(wanted))
    figures = {"student": list(wanted), "teacher": list(known[:20])}
    advice = (
        "Load the teacher with the student's names: class_names=..., class_indices=... of "
        "as_detector or load_detector, or --person-class NUMBER."
    )
    shown = f"{', '.join(known[:5])}{', ...' if len(known) > 5 else ''}"
    if {canonical(name) for name in missing} <= {canonical(name) for name in known}:
        return warning(
            f"The teacher calls {', '.join(missing)} by another name ({shown}): terms that compare "
            "classes will refuse the pair.",
            advice,
            **figures,
        )
    return fault(
        f"The teacher does not know {', '.join(missing)}: its classes are {shown}.",
        advice,
        **figures,
    )
