"""Names of subjects, which splits and intervals need; a table without them gets a note."""

import re
from dataclasses import replace

from bonaface.core.errors import InputError
from bonaface.datasets.table import PresentationTable, name_some

HOW_TO_NAME = (
    "name them by a folder for each person, by the column subject of a CSV file, or out of the files' names "
    "(bonaface prepare --subject-pattern)"
)


def note_unnamed(table: PresentationTable) -> PresentationTable:
    """Return `table` with a note on how many of its rows name no subject; as it is where all do."""
    alone = [row.path for row in table.rows if not row.subject]
    if not alone:
        return table
    note = (
        f"{len(alone)} of {len(table)} presentations name no subject ({name_some(alone, 3)}), so each stands for "
        f"a person of its own: whoever is in several of them may be in train and in test, and intervals are too "
        f"narrow; {HOW_TO_NAME}"
    )
    return replace(table, notes=(*table.notes, note))


def name_subjects(table: PresentationTable, pattern: str) -> PresentationTable:
    """Return `table` with the subject of each row that names none taken out of its path.

    Args:
        pattern: a regular expression, looked for anywhere in the path. The subject is what its group ``subject``
            matches, or its first group: ``(?P<subject>[a-z]+)_`` and ``/([a-z]+)_`` find ann in ``bonafide/ann_1.jpg``.

    Raises:
        InputError: the pattern is not a regular expression, has no group, or does not match some path; or every row
            names its subject already.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"the subject pattern {pattern!r} is no regular expression: {error}") from error
    if not expression.groups:
        raise InputError(
            f"the subject pattern {pattern!r} needs a group, in brackets, that matches the person: /([a-z]+)_"
        )
    group: str | int = "subject" if "subject" in expression.groupindex else 1
    found = {row.path: expression.search(row.path) for row in table.rows if not row.subject}
    if not found:
        raise InputError(
            f"{table.dataset}: every presentation names its subject; leave out the subject pattern"
        )
    names = {path: (match[group] or "") if match else "" for path, match in found.items()}
    without = [path for path, name in names.items() if not name]
    if without:
        raise InputError(
            f"the subject pattern {pattern!r} finds nobody in {len(without)} of {len(names)} paths: "
            f"{name_some(without)}"
        )
    rows = (row if row.subject else replace(row, subject=names[row.path]) for row in table.rows)
    return replace(table, rows=tuple(rows))
