"""nbgrader's gradebook, filled with marks that labkit-grade found."""

import os
import sys
import warnings
from pathlib import Path
from typing import Any

from labkit.extras import needs
from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.results import Result


def fill_gradebook(url: str, assignment: Assignment, results: list[Result]) -> int:
    """Write every graded submission into a gradebook; marks given by hand in it are kept.

    Args:
        url: a file, or a URL as nbgrader takes it: "sqlite:///gradebook.db".
        assignment: made in the gradebook where it is missing.
        results: those that cannot be graded are left out.

    Returns:
        The number of submissions written.

    Raises:
        ModuleNotFoundError: nbgrader is not installed.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # nbgrader calls alembic
    with needs("grade"):
        from nbgrader.api import Gradebook

    url = url if "://" in url else f"sqlite:///{url}"
    with warnings.catch_warnings(), Gradebook(url) as gradebook:
        warnings.simplefilter("ignore")  # SQLAlchemy's, about how nbgrader adds submissions
        gradebook.update_or_create_assignment(assignment.name)
        gradebook.update_or_create_notebook(assignment.name, assignment.name)
        for cell in [*assignment.tests, *assignment.by_hand]:
            settings: dict[str, Any] = {"max_score": cell.points, "cell_type": cell.kind}
            gradebook.update_or_create_grade_cell(cell.name, assignment.name, assignment.name, **settings)
        graded = [result for result in results if not result.problem]
        for result in graded:
            gradebook.update_or_create_student(result.student)
            submission = gradebook.update_or_create_submission(assignment.name, result.student)
            (notebook,) = submission.notebooks
            for grade in notebook.grades:
                task = result.tasks.get(grade.name)
                if task is not None:
                    grade.auto_score, grade.needs_manual_grade = task.points, False
                elif grade.manual_score is None:
                    grade.needs_manual_grade = True
        gradebook.db.commit()
    return len(graded)
