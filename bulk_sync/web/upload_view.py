"""What the screen of an upload shows: columns to choose, the verdict, rows with problems."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bulk_sync.outcomes import Outcome
from bulk_sync.report.facts import InputCounts
from bulk_sync.web import choices, problem_rows, upload_file, upload_state
from bulk_sync.web.page import Page
from bulk_sync.web.row_pages import number_of
from bulk_sync.web.upload_state import UploadStage, UploadState

_LONGEST_ROW: Final = 80

Options = list[tuple[str, str]]
"""Of a select: values and texts."""


def values(page: Page, state: UploadState, query: Mapping[str, str]) -> dict[str, Any]:
    """Return what the template needs; ``reason`` and ``page`` in the address choose rows."""
    verdict = state.verdict
    outcomes = verdict.get("outcomes") or {}
    counted = {Outcome(name): number for name, number in outcomes.items() if number}
    corrected = page.paperwork.corrections_of(state.upload.id)
    before = state.upload.corrects
    message = state.in_words(state.progress.message)
    return {
        "state": state,
        "UploadStage": UploadStage,
        "fields": _fields(state),
        "labels": choices.LABELS,
        "has_more": choices.has_more(state.values),
        "counts": InputCounts(rows=int(verdict.get("rows") or 0), outcomes=counted),
        "problems": _problems(state, query) if state.found else [],
        "is_one": bool(query.get("reason")),
        "message": message,
        "names_field": any(f"“{label}" in message for label in choices.LABELS.values()),
        "notes": state.notes,
        "hints": [state.in_words(text) for text in verdict.get("hints") or ()],
        "column_names": problem_rows.shown_columns(state.found) if state.found else [],
        "size": upload_file.megabytes(state.upload.size),
        "corrected": corrected,
        "copies": page.paperwork.copies_of(state.upload),
        "left": upload_state.left_by(page, state),
        "before": None if before is None else page.paperwork.upload(before),
        "plans": page.paperwork.plans(upload=state.upload.id),
    }


def _fields(state: UploadState) -> dict[str, Options]:
    shown, is_read = state.values, state.found is not None
    sheets = state.outline.get("sheets") or ()
    sheet = next((each for each in sheets if each["name"] == state.outline.get("sheet")), None)
    columns = [(each["name"], each["name"]) for each in state.columns]
    choose = [] if is_read else [("", "Choose")]
    kinds = {"": "By the name of the column"} if not is_read else {}
    kinds |= choices.KEYS
    kinds.setdefault(shown.get("key", "pkey"), shown.get("key", ""))
    has_date = bool(shown.get("date_column")) and "date_column" not in state.choices
    has_states = shown.get("state_column") not in {choices.ALL_FORBID, choices.ALL_ALLOW}
    return {
        "sheet": _sheets(sheets),
        "header_row": _rows(sheet, shown.get("header_row", "")),
        "key_column": [*choose, *columns],
        "key": list(kinds.items()),
        "state_column": [
            *choose,
            *columns,
            (choices.ALL_FORBID, f"None: {choices.ALL_FORBID}"),
            (choices.ALL_ALLOW, f"None: {choices.ALL_ALLOW}"),
        ],
        "state_means": [
            *([] if is_read and has_states else [("", "Choose")]),
            *choices.MEANS.items(),
        ],
        "date_column": [*([] if has_date else [("", "None")]), *columns],
        "date_order": [("", "As other dates, or the column's name, show"), *choices.ORDER.items()],
        "blank_state": list(choices.BLANK.items()),
        "on_conflict": list(choices.CONFLICT.items()),
        "email_case": list(choices.CASE.items()),
    }


def _sheets(sheets: Sequence[Mapping[str, Any]]) -> Options:
    named = [each for each in sheets if each["name"] is not None and not each["is_ours"]]
    hidden = {True: " (hidden)", False: ""}
    found = [(each["name"], f"{each['name']}{hidden[each['is_hidden']]}") for each in named]
    return found or [("", "The file has no sheets")]


def _rows(sheet: Mapping[str, Any] | None, chosen: str) -> Options:
    rows = [] if sheet is None else sheet["rows"]
    found = [
        (str(number), f"{number}: {' | '.join(filter(None, cells))}"[:_LONGEST_ROW])
        for number, cells in rows
    ]
    if chosen and chosen not in dict(found):
        found.append((chosen, chosen))
    return ([] if chosen or not found else [("", "Choose")]) + found or [("", "The file has none")]


def _problems(state: UploadState, query: Mapping[str, str]) -> list[problem_rows.ProblemPage]:
    if state.check is None or state.found is None:
        return []
    path = state.check.folder / upload_state.ROWS
    found, reason = problem_rows.kinds(path), query.get("reason", "")
    wanted = [kind for kind in found if reason in {kind.name, str(kind.reason)}] or found
    number = number_of(query.get("page", "")) if reason else 0
    return [problem_rows.page(path, kind, number, state.found) for kind in wanted]
