"""What people and spreadsheets write for states, and what spreadsheets do to keys.

The closed lists behind ``keys.py`` and ``states.py``: a spelling of a state that is not here is
rejected, never guessed.
"""

from typing import Final

_TRUE: Final = {
    "": "true t yes y 1 on",
    "French": "vrai",
    "German": "wahr",
    "Spanish": "verdadero",
    "Italian": "vero",
    "Portuguese": "verdadeiro",
    "Dutch": "waar",
    "Swedish": "sant",
    "Danish": "sand",
    "Norwegian": "sann",
    "Finnish": "tosi",
    "Polish": "prawda",
    "Czech": "pravda",
    "Hungarian": "igaz",
    "Romanian": "adevărat",
    "Russian": "истина",
    "Turkish": "doğru",
}
_FALSE: Final = {
    "": "false f no n 0 off",
    "French": "faux",
    "German": "falsch",
    "Spanish, Italian, Portuguese": "falso",
    "Dutch": "onwaar",
    "Swedish": "falskt",
    "Danish": "falsk",
    "Norwegian": "usann",
    "Finnish": "epätosi",
    "Polish": "fałsz",
    "Czech": "nepravda",
    "Hungarian": "hamis",
    "Romanian": "fals",
    "Russian": "ложь",
    "Turkish": "yanlış YANLIŞ",  # whose capital is another letter than Python takes it for
}
STATES: Final[dict[str, bool]] = {
    **{word.casefold(): True for words in _TRUE.values() for word in words.split()},
    **{word.casefold(): False for words in _FALSE.values() for word in words.split()},
}
"""Every accepted spelling of a state, casefolded: English ones, and Excel's in its languages."""

NO_VALUE: Final = (
    "a formula without a value: open the workbook in a spreadsheet program, save it, and upload it "
    "again"
)
"""Message for a cell with the text ``UNCALCULATED``."""

_MONTH: Final = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATES: Final = (
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?",
    r"\d{1,2}[/.]\d{1,2}[/.]\d{4}(?: \d{1,2}:\d{2}(?::\d{2})?)?",
    r"\d{1,2}/\d{1,2}/\d{2}",
    rf"\d{{1,2}}-{_MONTH}(?:-\d{{2}}(?:\d{{2}})?)?",
    rf"{_MONTH}-\d{{2}}(?:\d{{2}})?",
)
DAMAGE: Final[dict[str, str]] = {
    r"^[+-]?\d(?:[.,]\d+)?E[+-]\d{2,3}$": (
        "is what a spreadsheet makes of a long number; its digits are lost. Export the key column "
        "as text"
    ),
    r"^(?:#[¿¡]?[\p{Lu}\d/_]+[?!]|#N/A|#NV|#N/D|#GETTING_DATA|Err:\d{3})$": (
        "is a spreadsheet's error value; it makes #NAME? of text that begins with @. Format the "
        "key column as text and paste the keys again"
    ),
    r"^#{3,}$": "is what a spreadsheet shows for a cell too narrow for its content",
    rf"^(?:{'|'.join(_DATES)})$": (
        "is a date; a spreadsheet makes one of text that looks like it. Format the key column as "
        "text and paste the keys again"
    ),
}
"""RE2 patterns of what a spreadsheet leaves of a key, and how to say it after the value."""
