"""Run the commands of the GitHub Action, with the inputs as ``INPUT_…`` variables.

Guarantees:

- no value is part of a shell script: every command is a list of arguments;
- the output ``ref`` is written as soon as the task exists, so that a later job can continue after any failure;
- outputs are written with a delimiter that no value contains (GitHub Actions, "Workflow commands", multiline strings);
- the token for the pull request reaches git and gh alone, in their environment.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

COATCHECK = str(Path(sys.executable).with_name("coatcheck"))
COMMANDS = ("run", "submit", "wait", "apply")
WAYS = ("none", "commit", "pull-request")
# The input of each option of a submission.
OPTIONS = {
    "prompt-file": "--prompt-file",
    "template": "--template",
    "provider": "--provider",
    "repository": "--repo",
    "environment": "--environment",
    "branch": "--branch",
    "attempts": "--attempts",
}
# docs/reference/exit-codes.md
EXIT_NO_CANDIDATE = 11
# Who makes commits where the checkout names nobody: https://api.github.com/users/github-actions[bot]
IDENTITY = {"name": "github-actions[bot]", "email": "41898282+github-actions[bot]@users.noreply.github.com"}


class Done(NamedTuple):
    """How a command ended. `document` is its JSON, empty where there is none."""

    code: int
    document: dict[str, Any]


class Result(NamedTuple):
    """The task, and the attempt that the checks chose; None for the first with a change."""

    task: Mapping[str, Any]
    attempt: int | None = None


def value(name: str) -> str:
    """Return an input, "" where it was not given."""
    return os.environ.get("INPUT_" + name.upper().replace("-", "_"), "").strip()


def lines(name: str) -> Sequence[str]:
    """Return the lines of an input that are not blank."""
    return [line.strip() for line in value(name).splitlines() if line.strip()]


def stop(message: str, code: int = 1) -> NoReturn:
    """End the step with an annotation."""
    print(f"::error title=coatcheck::{escaped(message)}")
    sys.exit(code)


def escaped(text: str) -> str:
    """Return *text* as the data of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def set_output(name: str, text: str) -> None:
    """Write an output of the step."""
    delimiter = f"coatcheck_{secrets.token_hex(16)}"
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"{name}<<{delimiter}\n{text}\n{delimiter}\n")


def summarize(text: str) -> None:
    """Add Markdown to the summary of the job."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text + "\n")


def coatcheck(*arguments: str) -> Done:
    """Run a command that prints JSON; its progress and errors go to the log of the job."""
    environ = {name: text for name, text in os.environ.items() if name != "INPUT_GITHUB_TOKEN"}
    done = subprocess.run([COATCHECK, *arguments, "--json"], stdout=subprocess.PIPE, env=environ, check=False)
    try:
        document = json.loads(done.stdout or b"{}")
    except ValueError:
        document = {}
    return Done(done.returncode, document if isinstance(document, dict) else {})


def git(*arguments: str, environ: Mapping[str, str] | None = None) -> str:
    """Run git and return what it printed."""
    done = subprocess.run(["git", *arguments], stdout=subprocess.PIPE, env=environ, text=True, check=False)
    if done.returncode:
        stop("git failed; see the lines above")
    return done.stdout.strip()


def submit() -> str:
    """Submit the task and return its ref."""
    if not (value("prompt") or value("prompt-file") or value("template")):
        stop("no prompt: set the input prompt, prompt-file or template", 2)
    options = [text for name, option in OPTIONS.items() if value(name) for text in (option, value(name))]
    options += [text for argument in lines("arguments") for text in ("--arg", argument)]
    prompt = ["--", value("prompt")] if value("prompt") else []
    done = coatcheck("submit", *options, *prompt_last(prompt))
    ref = done.document.get("ref")
    if ref is None:
        stop(message_of(done, "the task could not be submitted"), done.code or 1)
    set_output("ref", ref)
    set_output("state", done.document.get("state", "queued"))
    return str(ref)


def prompt_last(prompt: Sequence[str]) -> Sequence[str]:
    """Return the prompt as an argument that no option can be mistaken for."""
    return prompt[1:] if prompt and not prompt[1].startswith("-") else prompt


def wait(ref: str) -> Result:
    """Wait for the task and return it, with what the checks chose."""
    done = coatcheck("wait", "--timeout", value("timeout") or "1h", ref)
    task = done.document
    for name, key in (("state", "state"), ("title", "title")):
        set_output(name, str(task.get(key) or ""))
    if done.code:
        stop(message_of(done, f"{ref} is {task.get('state', 'not known')}"), done.code)
    if not lines("checks"):
        return Result(task)
    checks = [text for check in lines("checks") for text in ("--check", check)]
    ranking = coatcheck("review", *checks, ref)
    show_review(ref, checks)
    if ranking.code:
        reason = "no attempt passes the checks" if ranking.code == EXIT_NO_CANDIDATE else "the checks could not run"
        stop(message_of(ranking, f"{ref}: {reason}"), ranking.code)
    return Result(task, attempt_of(ranking.document))


def show_review(ref: str, checks: Sequence[str]) -> None:
    """Add the table of the review to the summary; the checks are not run again."""
    done = subprocess.run([COATCHECK, "review", *checks, "--markdown", ref], stdout=subprocess.PIPE, check=False)
    summarize(done.stdout.decode("utf-8", "replace"))


def attempt_of(ranking: Mapping[str, Any]) -> int | None:
    """Return the attempt that a ranking chose."""
    chosen = (card["candidate"] for card in ranking.get("cards", ()) if card["candidate"]["name"] == ranking["choice"])
    number = next(chosen, {}).get("attempt")
    return int(number) if number is not None else None


def write_patch(ref: str, result: Result) -> None:
    """Write the change to a file, and its size as outputs."""
    chosen = ["--attempt", str(result.attempt)] if result.attempt else []
    done = subprocess.run([COATCHECK, "diff", *chosen, ref], stdout=subprocess.PIPE, check=False)
    path = ""
    if done.returncode == 0 and done.stdout.strip():
        folder = Path(os.environ.get("RUNNER_TEMP") or tempfile.gettempdir())
        path = str(folder / f"coatcheck-{name_of(ref)}.patch")
        Path(path).write_bytes(done.stdout)
    set_output("patch-path", path)
    set_output("files-changed", str(len(re.findall(rb"^diff --git ", done.stdout, re.MULTILINE)) if path else 0))


def apply(ref: str, result: Result) -> None:
    """Apply the change as the input ``apply`` says."""
    way = value("apply") or "none"
    if way == "none":
        return
    chosen = ["--attempt", str(result.attempt)] if result.attempt else []
    name_author()
    if way == "commit":
        done = coatcheck("apply", *chosen, "--commit", ref)
        if done.code:
            stop(message_of(done, f"the change of {ref} could not be committed"), done.code)
        return
    branch = value("pull-request-branch") or f"coatcheck/{name_of(ref)}"
    done = coatcheck("apply", *chosen, "--branch", branch, ref)
    if done.code:
        stop(message_of(done, f"the change of {ref} could not be put on {branch}"), done.code)
    open_pull_request(ref, branch)


def name_author() -> None:
    """Name an author for this step where the checkout names none."""
    for key, text in IDENTITY.items():
        known = subprocess.run(["git", "config", f"user.{key}"], stdout=subprocess.PIPE, check=False)
        if known.returncode:
            for role in ("AUTHOR", "COMMITTER"):
                os.environ.setdefault(f"GIT_{role}_{key.upper()}", text)


def open_pull_request(ref: str, branch: str) -> None:
    """Push *branch* and open its pull request."""
    token = value("github-token")
    print(f"::add-mask::{token}")
    environ = {**os.environ, "GH_TOKEN": token, "GIT_TERMINAL_PROMPT": "0"}
    helper = ("-c", "credential.helper=", "-c", "credential.helper=!gh auth git-credential")
    git(*helper, "push", "--quiet", "origin", f"{branch}:{branch}", environ=environ)
    subject, body = git("log", "-1", "--format=%s", branch), git("log", "-1", "--format=%b", branch)
    command = ["gh", "pr", "create", "--head", branch, "--title", subject, "--body", body or f"Made by {ref}."]
    command += ["--base", value("branch")] if value("branch") else []
    command += ["--draft"] if value("draft") == "true" else []
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environ, text=True, check=False)
    url = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not url:
        stop(f"the branch {branch} is pushed, and its pull request could not be opened; see the lines above")
    set_output("pull-request-url", url)
    summarize(f"Pull request: {url}")


def name_of(ref: str) -> str:
    """Return a part of *ref* that can name a branch and a file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", ref).strip("-.")[-60:]


def message_of(done: Done, otherwise: str) -> str:
    """Return the message and the remedy of a failure."""
    error = done.document.get("error")
    if not isinstance(error, Mapping) or not error.get("message"):
        return otherwise
    remedy = error.get("remedy")
    return f"{error['message']}{f'; {remedy}' if remedy else ''}"


def main() -> None:
    """Run the command that the inputs name."""
    command = value("command") or "run"
    if command not in COMMANDS:
        stop(f"there is no command {command!r}; commands: {', '.join(COMMANDS)}", 2)
    if (value("apply") or "none") not in WAYS:
        stop(f"apply cannot be {value('apply')!r}; values: {', '.join(WAYS)}", 2)
    if command == "apply" and (value("apply") or "none") == "none":
        stop("the command apply needs the input apply: commit or pull-request", 2)
    ref = value("ref")
    if command in ("wait", "apply") and not ref:
        stop(f"{command} needs the input ref", 2)
    if command in ("run", "submit"):
        ref = submit()
        print(f"submitted {ref}")
    else:
        set_output("ref", ref)
    if command == "submit":
        summarize(f"Submitted `{ref}`")
        return
    result = wait(ref)
    write_patch(ref, result)
    apply(ref, result)
    summarize(f"`{ref}`: {result.task.get('state')}")


if __name__ == "__main__":
    main()
