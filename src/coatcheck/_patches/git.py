"""The only module that starts git: lists of arguments, bytes in, bytes out, never a shell.

git does what it would do for the user (with their ``core.autocrlf``), and nothing else: a checkout
can hold programs that git would run (hooks, a file-system monitor, a pager, an external diff), and the environment can
point git at another repository. So every ``GIT_`` variable is dropped and those settings are overruled. A command that
reaches no network inherits no variable whose name says that it holds a secret.
"""

from __future__ import annotations

import os
import re

from ..errors import ConfigurationError
from .deferred_signals import DeferredSignals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

# Each overrules a setting that runs a program, prompts the user, or changes the meaning of a patch.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.alternateRefsCommand=",
    "diff.external=",
    "apply.whitespace=nowarn",  # "fix" would apply another patch than the one that was verified
    "apply.ignoreWhitespace=no",
    "core.safecrlf=false",  # a warning elsewhere, an error here
    "core.quotePath=true",
    "submodule.recurse=false",
    "gc.auto=0",
    "protocol.allow=never",
)

_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",  # reading a checkout does not rewrite its index
    "GIT_LITERAL_PATHSPECS": "1",
    # A partial clone would fetch missing objects: the first is git 2.45's word for no, the second every git's.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}

# The user's own choice of settings and of git. All others select a repository, an index or an editor.
_KEPT = frozenset(
    {
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_COUNT",  # with GIT_CONFIG_KEY_n and _VALUE_n; also how CI sets safe.directory (git-config(1))
        "GIT_CONFIG_PARAMETERS",  # what `git -c name=value` passes on
        "GIT_EXEC_PATH",
        "GIT_CEILING_DIRECTORIES",
    }
)
_KEPT_PREFIXES = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")

_SECRETS = re.compile(r"(?:TOKEN|SECRET|PASSWORD|PASSWD|(?:^|_)KEY)$", re.IGNORECASE)

# What git reports about objects or an index that it cannot read: loose and packed ones, and those of a partial clone.
_DAMAGE = re.compile(
    r"bad object|bad tree object|bad signature|missing (?:blob|tree|commit|object)|(?:unable|failed) to (?:read|find|unpack)"
    r"|could not (?:read|get object info)|is corrupt|corrupt loose|object file .* is empty|index file (?:corrupt|smaller|open|map)"
    r"|Could not read|invalid object|lazy fetching disabled|promisor remote|repository corruption",
)

# A git that waits for more than this waits for something that will not come (a lock, a dead network disk).
_SECONDS = 300.0


class GitError(ConfigurationError):
    """A git command failed. `stderr` is its error output; `was_killed` is the signal that ended it, else empty."""

    def __init__(self, message: str, *, stderr: str = "", remedy: str | None = None, was_killed: str = "") -> None:
        self.stderr = stderr
        self.was_killed = was_killed
        super().__init__(message, remedy=remedy)


def git(
    *arguments: str | bytes,
    folder: str | os.PathLike[str],
    stdin: bytes = b"",
    settings: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    accept: Sequence[int] = (0,),
    descriptors: Sequence[int] = (),
) -> bytes:
    """Run git in *folder* and return what it wrote. *settings* overrule the configuration as ``-c`` does.

    It inherits *environ*, by default this process's variables, and the *descriptors*, and *environment* is added.
    Raises `GitError` for an exit status that is not in *accept*, or when there is no git.
    """
    variables = inherited(os.environ if environ is None else environ) | _ENVIRONMENT | dict(environment or {})
    if set(variables["GIT_ALLOW_PROTOCOL"].split(":")) <= {"none", "file"}:
        variables = without_secrets(variables)
    with DeferredSignals() as signals:
        process = start(
            arguments, folder=folder, environ=variables, settings=(*_SETTINGS, *settings), descriptors=descriptors
        )
        stdout, output = _communicate(process, stdin, folder, signals)
    stderr = output.decode("utf-8", "replace").strip()
    if process.returncode and (refusal := untrusted(stderr, folder)):
        raise refusal
    if process.returncode not in accept:
        raise _failure(os.fsdecode(arguments[0]), process.returncode, stderr)
    return stdout


def start(
    arguments: Sequence[str | bytes],
    *,
    folder: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str],
    settings: Sequence[str],
    stderr: int | None = None,
    is_group: bool = False,
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start git with exactly these variables and settings, and pipes; *stderr* is another descriptor for its errors.

    It inherits *descriptors*, and no other.

    With *is_group* it leads a process group (and session), so that its children can be ended with it. Raises `GitError`
    where it cannot be started.
    """
    import subprocess  # 8 ms, and most uses of a patch start no git

    try:
        return subprocess.Popen(
            _command(arguments, settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if stderr is None else stderr,
            cwd=folder if folder is None else os.fspath(folder),
            env=dict(environ),
            start_new_session=is_group,
            pass_fds=descriptors,
        )
    except FileNotFoundError as error:
        raise _missing(error, folder) from None
    except (NotADirectoryError, PermissionError) as error:
        where = os.getcwd() if folder is None else os.fspath(folder)
        raise GitError(f"git could not run in {where}: {type(error).__name__}") from None


def _communicate(
    process: subprocess.Popen[bytes], stdin: bytes, folder: str | os.PathLike[str], signals: DeferredSignals
) -> tuple[bytes, bytes]:
    """Return what git wrote; it is killed when it takes too long, and when this process is interrupted."""
    from subprocess import TimeoutExpired

    with process:
        try:
            signals.release()
            return process.communicate(stdin, timeout=_SECONDS)
        except TimeoutExpired:
            process.kill()
            raise GitError(f"git could not run in {os.fspath(folder)}: it took more than {_SECONDS:g} s") from None
        except BaseException:
            process.kill()
            raise


def _failure(verb: str, code: int, stderr: str) -> GitError:
    killed = f"git {verb} was ended by signal {-code}" if code < 0 else ""
    message = f"git {verb} failed: {stderr.splitlines()[0] if stderr else code}"
    if is_damage(stderr):
        return damaged(message, stderr)
    return GitError(message, stderr=stderr, was_killed=killed)


def is_damage(stderr: str) -> bool:
    """Whether git reports an object, or an index, that is missing or cannot be read."""
    return _DAMAGE.search(stderr) is not None


def damaged(message: str, stderr: str) -> GitError:
    """Return the error for a repository whose objects or index cannot be read."""
    remedy = "run git fsck in the repository to see what is missing; then fetch it, or clone the repository again"
    return GitError(message, stderr=stderr, remedy=remedy)


def _command(arguments: Sequence[str | bytes], settings: Sequence[str]) -> list[str | bytes]:
    options = [word for setting in settings for word in ("-c", setting)]
    return ["git", "--no-pager", *options, *arguments]


def inherited(environ: Mapping[str, str], *, keep_settings: bool = True) -> dict[str, str]:
    """Return *environ* without what points git at a repository, an index or an editor.

    The variables with the user's settings are kept, unless *keep_settings* is false.
    """
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("GIT_") or (keep_settings and (name in _KEPT or name.startswith(_KEPT_PREFIXES)))
    }


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* without the variables whose names say that they hold a secret."""
    return {name: value for name, value in environ.items() if not _SECRETS.search(name)}


def untrusted(stderr: str, folder: str | os.PathLike[str]) -> GitError | None:
    """Return the error for a repository of another user that git refuses (safe.directory in git-config(1)), else None.

    *stderr* is git's standard error; it names the folder, and the command that trusts it.
    """
    if "dubious ownership" not in stderr:
        return None
    shown = re.search(r"git config --global --add safe\.directory (.+)", stderr, re.DOTALL)
    command = shown[0].strip() if shown else f"git config --global --add safe.directory {os.fspath(folder)}"
    return GitError(
        f"git does not trust {os.fspath(folder)}: it belongs to another user", stderr=stderr, remedy=f"run: {command}"
    )


def _missing(error: FileNotFoundError, folder: str | os.PathLike[str] | None) -> GitError:
    if folder is None or (error.filename == "git" and os.path.isdir(folder)):
        return GitError("git is not installed", remedy="install git 2.34 or newer")
    return GitError(f"there is no folder {os.fspath(folder)}")
