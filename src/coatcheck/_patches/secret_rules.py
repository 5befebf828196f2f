"""Tokens and private keys in what a patch adds, recognized by the formats that their issuers document.

A form is as narrow as its issuer's tokens are: the length and alphabet of the random part, a boundary on both sides, and
for parts without a fixed form at least a digit and a letter. Placeholders (``xoxb-your-token``), CSS classes and slugs
(``sk-folding-cube``) have neither. The example keys of AWS's documentation end in ``EXAMPLE`` and are no secrets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .file_change import FileChange

    SecretPattern = tuple[tuple[bytes, ...], re.Pattern[bytes], str]

_START, _END = rb"(?<![0-9A-Za-z_-])", rb"(?![0-9A-Za-z_-])"
# At least a digit, and a letter or two digits more, before anything that is not part of a token.
_MIXED = rb"(?=[0-9A-Za-z_-]*[0-9])(?=[0-9A-Za-z_-]*[A-Za-z])"
_BOTH_CASES = _MIXED + rb"(?=[0-9A-Za-z_-]*[A-Z])(?=[0-9A-Za-z_-]*[a-z])"


# The mark with the key or its headers behind it, or the mark alone as the last line: the key may be cut off. In code the
# mark is a constant between quotes.
_MARK = rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY = (
    _MARK
    + rb"(?:[ \t\"'\\,;+]|\\[nr]|\r?\n[ \t]*){0,64}(?:[0-9A-Za-z+/=]{32}|Proc-Type:|Version:|Comment:)|(?m:^)[ \t]*"
    + _MARK
    + rb"\s*\Z"
)


def _token(pattern: bytes) -> bytes:
    return _START + pattern + _END


# The bytes that are looked for first; the form; what it is. The lengths are the issuers' (the pages of GitHub, GitLab,
# Slack, Stripe, OpenAI, Anthropic, AWS, Google on the formats of their tokens), and agree with
# https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml.
_SECRETS = (
    (
        (b"-----BEGIN ",),
        _PRIVATE_KEY,
        "a private key",
    ),
    ((b"PuTTY-User-Key-File-",), rb"PuTTY-User-Key-File-\d: ", "a private key"),
    ((b"AGE-SECRET-KEY-",), rb"\bAGE-SECRET-KEY-1[0-9A-Z]{58}", "a private key"),
    ((b"AKIA",), _token(rb"AKIA(?![A-Z0-9]{9}EXAMPLE)[A-Z0-9]{16}"), "an AWS access key"),
    ((b"ASIA",), _token(rb"ASIA(?![A-Z0-9]{9}EXAMPLE)[A-Z0-9]{16}"), "an AWS session key"),
    (
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"),
        _token(rb"gh[pousr]_" + _MIXED + rb"[0-9A-Za-z]{36,255}"),
        "a GitHub token",
    ),
    ((b"ghs_",), _START + rb"ghs_\d+_eyJ[\w.-]{40,}", "a GitHub token"),
    ((b"github_pat_",), _token(rb"github_pat_" + _MIXED + rb"[0-9A-Za-z]{22}_[0-9A-Za-z]{59}"), "a GitHub token"),
    (
        (b"glpat-", b"gldt-", b"glrt-", b"glptt-", b"glft-", b"glimt-", b"glagent-", b"gloas-", b"glcbt-", b"glsoat-"),
        _START
        + rb"gl(?:pat|dt|rt|ptt|ft|imt|agent|oas|cbt|soat)-"
        + _MIXED
        + rb"[0-9A-Za-z_-]{20,}(?:\.[0-9a-z]{2}\.[0-9a-z]{9})?",
        "a GitLab token",
    ),
    ((b"sk-",), _token(rb"sk-" + _MIXED + rb"[0-9A-Za-z]{32,}"), "an API key"),
    ((b"sk-",), _token(rb"sk-(?:proj|svcacct|admin|None)-" + _BOTH_CASES + rb"[0-9A-Za-z_-]{32,}"), "an API key"),
    ((b"sk-ant-",), _token(rb"sk-ant-(?:[a-z]{3,5}\d\d-)?" + _BOTH_CASES + rb"[0-9A-Za-z_-]{32,}"), "an API key"),
    ((b"sk-or-",), _token(rb"sk-or-(?:v1-)?[0-9a-f]{64}"), "an API key"),
    ((b"_live_",), _token(rb"(?:sk|rk)_live_" + _MIXED + rb"[0-9A-Za-z]{24,}"), "a Stripe key"),
    ((b"whsec_",), _token(rb"whsec_" + _MIXED + rb"[0-9A-Za-z+/]{32,}={0,2}"), "the secret of a web hook"),
    ((b"AIza",), _token(rb"AIza" + _MIXED + rb"[0-9A-Za-z_-]{35}"), "a Google API key"),
    ((b"GOCSPX-",), _token(rb"GOCSPX-[0-9A-Za-z_-]{28}"), "a Google client secret"),
    ((b"ya29.",), _START + rb"ya29\.[0-9A-Za-z_-]{60,}", "a Google token"),
    ((b"xox",), _START + rb"xox[abeoprs](?:\.xox[bp])?-(?:\d+-)+" + _MIXED + rb"[0-9A-Za-z]{20,}", "a Slack token"),
    ((b"xapp-",), _START + rb"xapp-\d-[0-9A-Z]+-\d+-[0-9a-f]{32,}", "a Slack token"),
    (
        (b"hooks.slack.com",),
        rb"hooks\.slack\.com/services/T[0-9A-Z]{7,}/B[0-9A-Z]{7,}/[0-9A-Za-z]{20,}",
        "a Slack web hook",
    ),
    ((b"npm_",), _token(rb"npm_" + _MIXED + rb"[0-9A-Za-z]{36}"), "an npm token"),
    ((b"pypi-",), rb"\bpypi-AgE[\w-]{50,}", "a PyPI token"),
    ((b"SG.",), _token(rb"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"), "a SendGrid key"),
    ((b"hf_",), _token(rb"hf_" + rb"(?=[A-Za-z]*[A-Z])(?=[A-Za-z]*[a-z])" + rb"[A-Za-z]{34}"), "a Hugging Face token"),
    ((b"dop_v1_", b"doo_v1_", b"dor_v1_"), _token(rb"do[opr]_v1_[0-9a-f]{64}"), "a DigitalOcean token"),
    ((b"dckr_",), _token(rb"dckr_(?:pat|oat)_[0-9A-Za-z_-]{27,}"), "a Docker token"),
    ((b"shpat_", b"shpca_", b"shppa_", b"shpss_"), _token(rb"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"), "a Shopify token"),
    ((b"dapi",), _token(rb"dapi[0-9a-f]{32}(?:-\d)?"), "a Databricks token"),
    ((b"hvs.",), _START + rb"hvs\.[0-9A-Za-z_-]{90,}", "a Vault token"),
    ((b".atlasv1.",), rb"\b[0-9A-Za-z]{14}\.atlasv1\.[0-9A-Za-z_=-]{60,}", "a Terraform token"),
    ((b"glsa_",), _token(rb"glsa_[0-9A-Za-z]{32}_[0-9a-f]{8}"), "a Grafana token"),
    ((b"lin_api_",), _token(rb"lin_api_[0-9A-Za-z]{40}"), "a Linear key"),
    ((b"rubygems_",), _token(rb"rubygems_[0-9a-f]{48}"), "a RubyGems key"),
    ((b"AccountKey=",), rb"AccountKey=[0-9A-Za-z+/]{86}==", "an Azure storage key"),
    ((b":AA",), rb"(?<!\d)\d{8,10}:AA[0-9A-Za-z_-]{33}" + _END, "a Telegram token"),
    ((b"eyJ",), _START + rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}", "a signed token (JWT)"),
)


def secret_patterns(data: bytes) -> tuple[SecretPattern, ...]:
    """Return the patterns that could match in *data*: nearly always none."""
    return tuple(
        (starts, re.compile(pattern), name)
        for starts, pattern, name in _SECRETS
        if any(start in data for start in starts)
    )


def secrets(change: FileChange, patterns: tuple[SecretPattern, ...]) -> Iterator[tuple[int, str]]:
    """Yield line and kind of everything added that looks like a secret; never the secret."""
    part = bytes(change)
    near = [(pattern, name) for starts, pattern, name in patterns if any(start in part for start in starts)]
    if not near or change.is_combined or not change.added:
        return
    plain = part.replace(b"\n+", b"\n")  # a key is more than one line
    wanted = [(pattern, name) for pattern, name in near if _MARK in pattern.pattern or pattern.search(plain)]
    for start, block in _added_blocks(change) if wanted else ():
        for pattern, name in wanted:
            for match in pattern.finditer(block):
                yield start + block.count(b"\n", 0, match.start()), name


def _added_blocks(change: FileChange) -> Iterator[tuple[int, bytes]]:
    """Yield first line and content of each run of added lines: a private key is more than one line."""
    for hunk in change.hunks:
        number, start, run = hunk.new_start, hunk.new_start, list[bytes]()
        for line in hunk.lines:
            if line.sign == "+":
                start = start if run else number
                run.append(line.content)
            elif line.sign == " " and run:
                yield start, b"".join(run)
                run = []
            number += line.sign != "-"
        if run:
            yield start, b"".join(run)
