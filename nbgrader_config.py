"""nbgrader: exercises/ is what a student gets, generated from solutions/, which is edited by hand."""

c = get_config()  # noqa: F821  (nbgrader puts it here)

c.CourseDirectory.course_id = "labkit"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = "_build/submitted"
c.CourseDirectory.autograded_directory = "_build/autograded"
c.CourseDirectory.feedback_directory = "_build/feedback"
c.CourseDirectory.solution_directory = "_build/solution"
c.Exchange.root = "_build/exchange"

c.ClearSolutions.code_stub = {"python": 'raise NotImplementedError("your turn: replace this line")'}
c.ClearSolutions.text_stub = "*Your answer here.*"
