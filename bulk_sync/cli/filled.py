"""Values that are never empty: an empty one is an unset variable of a shell, perhaps."""

from typing import Any, Final

import click

_EMPTY: Final = "it is empty; an unset variable, perhaps."


class FilledText(click.ParamType[str]):
    """Any text but an empty one."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        return str(value) or self.fail(_EMPTY, param, ctx)


class FilledPath(click.Path):
    """Any path but an empty one, which would be the working directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail(_EMPTY, param, ctx)
        return super().convert(value, param, ctx)
