#!/usr/bin/env bash
# Installs what the tools and tests need: tools/setup.sh [python|rust|npm|go]..., all four by default.
# The Python packages go to .venv, the nightly to rustup, ic-wasm and icp to tools/npm, actionlint to tools/go.
# What is there already is left alone.
set -euo pipefail

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# Runs a command quietly; where it fails, its output stays in a file.
quietly() { # LOG-NAME ADVICE COMMAND...
  local log=build/setup-$1.log advice=$2
  shift 2
  mkdir -p build
  "$@" >"$log" 2>&1 || fail "$advice (what went wrong is in $log)"
}

setup_python() {
  local python=${PYTHON:-python3}
  command -v "$python" >/dev/null ||
    fail "Python is missing: install Python 3.11 or newer, or name yours with PYTHON=/path/to/python3."
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old: install Python 3.11 or newer, or name yours with PYTHON=/path/to/python3."
  command -v git >/dev/null || fail "git is missing: install git."
  cmp -s requirements.txt .venv/requirements.txt && .venv/bin/python -c '' 2>/dev/null && return
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "Python's venv module is missing: install it (on Debian and Ubuntu the package python3-venv)."
  echo '==> Installing the Python packages of requirements.txt in .venv'
  rm -rf .venv
  quietly venv 'The virtual environment could not be made: check the disk space and the permissions of this folder.' \
    "$python" -m venv .venv
  quietly pip 'The Python packages could not be installed: check your network connection and try again.' \
    .venv/bin/python -m pip install --require-hashes --no-deps -r requirements.txt
  cp requirements.txt .venv/requirements.txt
}

setup_rust() {
  local nightly installed
  command -v rustup >/dev/null || fail "rustup is missing: install it from https://rustup.rs and open a new terminal."
  cc --version >/dev/null 2>&1 ||
    fail "A C linker is missing: install one (on Debian and Ubuntu the package gcc, on macOS run xcode-select --install)."
  nightly=$(sed -n 's/^channel *= *"\(.*\)".*/\1/p' template/rust-toolchain.toml)
  installed=$(rustup component list --installed --toolchain "$nightly" 2>/dev/null || true)
  case $installed in *clippy*rust-src*rustfmt*) return ;; esac
  echo "==> Installing Rust $nightly, which template/rust-toolchain.toml pins"
  quietly rustup "Rust $nightly could not be installed: check your network connection and try again." \
    rustup toolchain install "$nightly" --profile minimal --component rust-src,rustfmt,clippy --no-self-update
}

npm_ci() (
  cd tools/npm # With --prefix, npm would look for its global settings there.
  npm ci --no-audit --no-fund
)

# npm has ic-wasm and icp by these names for Linux on x64; elsewhere they have to be on PATH.
setup_npm() {
  if [ "$(uname -sm)" != 'Linux x86_64' ]; then
    type ic-wasm icp >/dev/null 2>&1 ||
      fail "ic-wasm or icp is missing: npm install -g @icp-sdk/ic-wasm @icp-sdk/icp-cli"
    return
  fi
  cmp -s tools/npm/package-lock.json tools/npm/node_modules/package-lock.json && return
  command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or newer."
  echo '==> Installing ic-wasm and icp in tools/npm'
  quietly npm 'ic-wasm and icp could not be installed: check your network connection and try again.' \
    npm_ci
  cp tools/npm/package-lock.json tools/npm/node_modules/package-lock.json
}

go_build() (
  cd tools/go
  GOFLAGS=-mod=readonly go build -o bin/ tool
)

setup_go() {
  cmp -s tools/go/go.sum tools/go/bin/go.sum && return
  command -v go >/dev/null || fail "Go is missing: install it from https://go.dev/dl."
  echo '==> Building actionlint in tools/go'
  quietly go "actionlint could not be built: check that your Go is 1.25 or newer, and your network connection." \
    go_build
  cp tools/go/go.sum tools/go/bin/go.sum
}

export RUSTUP_AUTO_INSTALL=0
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- python rust npm go
setups=()
for part; do
  "setup_$part" &
  setups+=($!)
done
for setup in "${setups[@]}"; do
  wait "$setup" || failed=yes
done
[ -z "${failed-}" ]
