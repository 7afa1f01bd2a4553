"""Who gains and who loses when submissions are marked again, and why."""

from labkit.grading.marking.results import Part, Result


def changes(before: dict[str, Result], after: list[Result]) -> list[str]:
    """A line for each student of whom something changed, and below it one for each task whose points did.

    Args:
        before: the results as they were, by student.
        after: as they are now. Who is new is not mentioned.
    """
    lines = []
    for now in after:
        was = before.get(now.student)
        reasons = [] if was is None else _reasons(was, now)
        if was is not None and was.total != now.total:
            lines.append(f"{now.student}: {was.total:g} -> {now.total:g} ({now.total - was.total:+g})")
        elif reasons:
            lines.append(f"{now.student}: still {now.total:g}")
        lines += reasons
    return lines


def _reasons(was: Result, now: Result) -> list[str]:
    lines = []
    if was.problem != now.problem:
        lines.append(f"  {was.problem or 'was graded'} -> {now.problem or 'is graded'}")
    for name, task in now.tasks.items():
        old = was.tasks.get(name)
        if old is not None and old.points != task.points:
            lines.append(f"  {name.removeprefix('check-')}: {old.points:g} -> {task.points:g}")
            earlier = {part.what: part for part in old.parts}
            lines += [f"    {words}" for part in task.parts if (words := _why(earlier.get(part.what), part))]
            gone = earlier.keys() - {part.what for part in task.parts}
            lines += [f"    no longer tried: {what}" for what in sorted(gone)]
    return lines


def _why(was: Part | None, now: Part) -> str:
    if was is None:
        return f"{now.what}: {'new, and right' if now.words is None else f'new, and wrong: {now.words}'}"
    if (was.words is None) != (now.words is None):
        return f"{now.what}: {'right now' if now.words is None else f'wrong now: {now.words}'}"
    return f"{now.what}: counts only beside a harder part now" if now.easy and not was.easy else ""
