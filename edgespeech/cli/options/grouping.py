"""Options that stand in groups in a command's help, and rules by which combinations of options are refused."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from edgespeech.cli.errors import CommandError

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
Options = Mapping[str, Any]
GENERAL = "Options"


class GroupedOption(click.Option):
    """An option that stands under the heading `group` in the help."""

    def __init__(self, *args: Any, group: str = GENERAL, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists its options in their groups, in the order in which the groups come up."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Command.format_options`."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(parameter, "group", GENERAL), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


@dataclass(frozen=True)
class OptionSpec:
    """An option before it is given to a command: what `click.option` takes."""

    flag: str
    settings: Mapping[str, Any]
    name: str = ""

    def given_to(self, command: CommandT, group: str, is_shown: bool = True) -> CommandT:
        """Give a command the option; one that is not shown works all the same."""
        names = (self.flag, self.name) if self.name else (self.flag,)
        return click.option(*names, cls=GroupedOption, group=group, hidden=not is_shown, **self.settings)(command)


@dataclass(frozen=True)
class Rule:
    """A combination of options that is refused.

    Attributes:
        options: names of those that must not be given where `when` holds, by their order; () where it alone is wrong.
        when: asks the values of all options.
        message: `{flag}` stands for the option, other fields for values.
    """

    options: Collection[str]
    when: Callable[[Options], bool]
    message: str


def check(ctx: click.Context, rules: Collection[Rule], values: Options) -> None:
    """Refuse options that contradict each other, by the first rule that applies. Raises CommandError."""
    flags = {parameter.name: parameter.opts[0] for parameter in ctx.command.params}
    for rule in rules:
        if not rule.when(values):
            continue
        if not rule.options:
            raise CommandError(rule.message.format(**values))
        for name in rule.options:
            if ctx.get_parameter_source(name) not in (None, ParameterSource.DEFAULT):
                raise CommandError(rule.message.format(flag=flags[name], **values))
