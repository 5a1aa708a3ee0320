"""`paxosctl completion bash | zsh | fish`: what a shell offers while a command line is typed."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from paxosd.commands.ctl.verbs import AddVerb
from paxosd.process.exits import Exit

HELP = """\
Print what makes a shell complete commands and flags of paxosctl.

examples:
  source <(paxosctl completion bash)                  bash, from ~/.bashrc
  source <(paxosctl completion zsh)                   zsh, from ~/.zshrc, after compinit
  paxosctl completion fish | source                   fish
"""

_BASH = """\
_paxosctl() {{
    local word verb="" flags="{flags}"
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$word" in {names}) verb="$word"; break ;; esac
    done
    case "$verb" in
        "") COMPREPLY=($(compgen -W "{verbs} $flags" -- "${{COMP_WORDS[COMP_CWORD]}}")); return ;;
{cases}
    esac
    COMPREPLY=($(compgen -W "$flags" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _paxosctl paxosctl
"""


def add_to(add: AddVerb, parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Add the command to the command line; `parser`: of all of it."""
    command = add("completion", "what makes a shell complete commands and flags", HELP)
    command.add_argument("shell", choices=["bash", "zsh", "fish"], help="the shell")
    command.set_defaults(parser=parser)


def show(shell: str, parser: argparse.ArgumentParser) -> int:
    """Print the script for this shell; returns the exit code."""
    verbs = _verbs(parser)
    print(_fish(verbs, _flags(parser)) if shell == "fish" else _bash(verbs, _flags(parser), shell), end="")
    return Exit.OK


def _verbs(parser: argparse.ArgumentParser) -> dict[str, tuple[str, list[str], list[str]]]:
    """Of each command: its short description, its flags, and the words of which one comes next."""
    (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    told = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    return {name: (told[name], _flags(each), _words(each)) for name, each in commands.choices.items()}


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]


def _words(parser: argparse.ArgumentParser) -> list[str]:
    named = [action for action in parser._actions if not action.option_strings and action.choices]
    return [str(choice) for action in named for choice in action.choices or ()]


def _bash(verbs: dict[str, tuple[str, list[str], list[str]]], flags: list[str], shell: str) -> str:
    cases = [f'        {name}) flags="{" ".join([*words, *own])}" ;;' for name, (_, own, words) in verbs.items()]
    script = _BASH.format(flags=" ".join(flags), names="|".join(verbs), verbs=" ".join(verbs), cases="\n".join(cases))
    return f"autoload -Uz bashcompinit && bashcompinit\n{script}" if shell == "zsh" else script


def _fish(verbs: dict[str, tuple[str, list[str], list[str]]], flags: list[str]) -> str:
    lines = [f"complete -c paxosctl -l {flag[2:]}" for flag in flags]
    for name, (told, own, words) in verbs.items():
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        lines.append(f"complete -c paxosctl -n __fish_use_subcommand -f -a {name} -d '{told.replace(chr(39), '')}'")
        lines += [f"complete -c paxosctl {seen} -l {flag[2:]}" for flag in own if flag not in flags]
        lines += [f"complete -c paxosctl {seen} -f -a {word}" for word in words]
    return "\n".join(lines) + "\n"
