from __future__ import annotations

import pytest

from coatcheck import Patch

KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
A3 = "aB3"

# Every token is put together here, so that no scanner finds one in this file.
SECRETS = {
    "AWS": "AKIA" + "Q3" * 8,
    "GitHub, of an app's user": "ghu_" + A3 * 12,
    "GitHub, to refresh": "ghr_" + A3 * 12,
    "GitHub, longer": "ghs_" + A3 * 20,
    "GitHub, fine-grained": "github_pat_" + "aB3xY9aB3xY9aB3xY9aB3x" + "_" + "aB3xY9" * 9 + "aB3xY",
    "GitLab": "glpat-" + "aB3xY9-aB3xY9_aB3xY9",
    "OpenAI": "sk-" + "aB3xY9" * 8,
    "OpenAI, of a project": "sk-proj-" + "aB3_xY-9" * 10,
    "Anthropic": "sk-ant-" + "api03-" + "aB3_xY-9" * 11 + "AA",
    "OpenRouter": "sk-or-" + "v1-" + "0a1b2c3d" * 8,
    "Stripe": "sk_" + "live_" + A3 * 8,
    "Stripe, restricted": "rk_" + "live_" + A3 * 10,
    "Google": "AIza" + "aB3xY9_" * 5,
    "Slack": "xoxb-" + "123456789012-123456789012-" + A3 * 8,
    "npm": "npm_" + A3 * 12,
    "SendGrid": "SG." + "aB3xY9aB3xY9aB3xY9aB3x" + "." + "aB3xY9-" * 6 + "a",
    "Telegram": "123456789" + ":AA" + A3 * 11,
    "Azure": "AccountKey=" + "aB3x" * 21 + "aB==",
    "signed": "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0In0" + ".c2lnbmF0dXJl",
    "key in a string": '"-----BEGIN ' + f'PRIVATE KEY-----\\n{KEY}"',
}

ORDINARY = {
    "CSS class": ".sk-folding-cube-animation-wrapper-element{}",
    "CSS class, long": ".sk-" + "x" * 40,
    "slug": "task-sk-this-is-a-slug-of-many-words-in-a-url",
    "slug with digits": "risk-2024-report-of-the-committee-on-something-long-1",
    "placeholder": "sk-" + "your-api-key-goes-here-your-api-key-goes-here",
    "project placeholder": "sk-proj-" + "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "Slack placeholder": "xoxb-" + "your-slack-bot-token-here",
    "AWS's example": "AKIA" + "IOSFODNN7" + "EXAMPLE",
    "AWS's other example": "AKIA" + "111111111" + "EXAMPLE",
    "identifier": "npm_" + "config_user_agent_and_other_names_of_it",
    "constant": 'MARK = "-----BEGIN ' + 'PRIVATE KEY-----"',
    "mention": "a file with -----BEGIN " + "PRIVATE KEY----- in it",
    "hash": "a" * 40 + " sha512-" + "aB3/" * 21 + "==",
    "URL": "https://example.com/ghp_" + "abc",
    "base64": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "test key": "sk_" + "test_" + "aB3" * 8,
}


def is_found(*lines: str) -> bool:
    """Whether adding *lines* is reported as a secret."""
    head = f"--- /dev/null\n+++ b/x\n@@ -0,0 +1,{len(lines)} @@\n"
    patch = Patch.parse(head + "".join(f"+{line}\n" for line in lines))
    return any(finding.rule == "secret" for finding in patch.verify().findings)


@pytest.mark.parametrize("token", SECRETS.values(), ids=SECRETS)
def test_tokens_are_found(token: str) -> None:
    """A token of its issuer's form is found, alone and in an assignment."""
    assert [True, True] == [is_found(token), is_found(f'TOKEN = "{token}";')]


@pytest.mark.parametrize("line", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_text_is_no_secret(line: str) -> None:
    """CSS, slugs, placeholders, documented examples and hashes are no secrets."""
    assert not is_found(line, "another line")


@pytest.mark.parametrize("indent", ["", "    ", "  | "], ids=repr)
def test_a_private_key_is_found_over_lines(indent: str) -> None:
    """A private key begins on one line and continues on the next."""
    lines = ["-----BEGIN " + "OPENSSH PRIVATE KEY-----", KEY, "-----END"]
    indent = indent.replace("|", " ")

    assert is_found("first", *(f"{indent}{line}" for line in lines))


def test_the_line_of_a_secret_is_named() -> None:
    """The line is the secret's, in a later hunk too."""
    token = SECRETS["Stripe"]
    patch = Patch(f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n@@ -9,2 +9,3 @@\n c\n+t = {token}\n d\n".encode())

    assert [10] == [finding.line for finding in patch.verify().findings]
