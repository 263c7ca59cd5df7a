"""Groups of commands: how they answer to a name they do not have."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from breakthrough import language
from breakthrough.errors import unknown

Language = Annotated[str, typer.Option("--lang", envvar=language.VARIABLE, metavar="LANGUAGE", help="en: your lab in labs/; zh: your lab in zh/labs/.")]


class Commands(TyperGroup):
    """The commands; a name that is none of them is an error in the form of all others."""

    def resolve_command(self, ctx, args):
        """Find the command that is asked for."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            raise unknown("command", args[0], self.commands)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx, cmd_name):
        """The command, with help as plain text: typer escapes brackets for rich, also where rich is off."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and "get_help" not in vars(command):
            escaped = command.get_help
            command.get_help = lambda ctx: escaped(ctx).replace("\\[", "[")  # type: ignore[method-assign]  # one command's own, not its class's
        return command


def group(**settings: Any) -> typer.Typer:
    """An empty group of commands."""
    return typer.Typer(
        cls=Commands,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        **settings,
    )
