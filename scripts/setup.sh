#!/usr/bin/env bash
# Installs what the scripts and tests need: scripts/setup.sh [python|rust|helper|npm]... Without arguments, it installs everything.
# python: the packages of requirements.txt in .venv. rust: the nightly that the template pins. helper: rust, and the program
# in runtime/helper. npm: ic-wasm and icp in scripts/npm. It skips the parts that are already installed.
set -euo pipefail

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# Runs a command and keeps its output in a file.
quietly() { # PART ADVICE COMMAND...
  local log=build/setup-$1.log advice=$2
  mkdir -p build && shift 2
  "$@" >"$log" 2>&1 || fail "$advice. The error is in $log."
}

setup_python() {
  local python=${PYTHON:-python3} advice="Install Python 3.11 or newer, or set PYTHON=/path/to/python3"
  command -v "$python" >/dev/null || fail "$advice: $python was not found."
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$advice: $("$python" --version) is too old."
  command -v git >/dev/null || fail "Install git: it was not found."
  cmp -s requirements.txt .venv/requirements.txt && .venv/bin/python -c '' 2>/dev/null && return
  echo '==> Installing the Python packages of requirements.txt in .venv'
  rm -rf .venv
  quietly venv "Install Python's venv module (on Debian and Ubuntu the package python3-venv): .venv could not be made" \
    "$python" -m venv .venv
  quietly pip 'Check your network connection and try again: the Python packages could not be installed' \
    .venv/bin/python -m pip install --require-hashes --no-deps --no-compile -r requirements.txt
  cp requirements.txt .venv/requirements.txt
}

setup_rust() {
  local installed
  command -v rustup >/dev/null || fail "Install rustup from https://rustup.rs and open a new terminal: it was not found."
  cc --version >/dev/null 2>&1 ||
    fail "Install a C linker (on Debian and Ubuntu the package gcc, on macOS run xcode-select --install): cc was not found."
  nightly=$(sed -n 's/^channel *= *"\(.*\)".*/\1/p' template/rust-toolchain.toml)
  installed=$(rustup component list --installed --toolchain "$nightly" 2>/dev/null || true)
  case $installed in *clippy*rust-src*rustfmt*) return ;; esac
  echo "==> Installing Rust $nightly"
  quietly rust "Check your network connection and try again: Rust $nightly could not be installed" \
    rustup toolchain install "$nightly" --profile minimal --component rust-src,rustfmt,clippy --no-self-update
}

setup_helper() {
  setup_rust
  quietly helper 'Fix the first error in the log: the program in runtime/helper could not be built' \
    rustup run "$nightly" cargo build --release --locked --manifest-path runtime/helper/Cargo.toml --target-dir runtime/helper/target
}

npm_ci() (
  cd scripts/npm # With --prefix, npm would read its global settings from there.
  npm ci --no-audit --no-fund
)

setup_npm() {
  if [ "$(uname -sm)" != 'Linux x86_64' ]; then # scripts/npm has only programs for Linux on x86-64.
    type ic-wasm icp >/dev/null 2>&1 ||
      fail "Run npm install -g @icp-sdk/ic-wasm @icp-sdk/icp-cli: ic-wasm or icp was not found."
    return
  fi
  cmp -s scripts/npm/package-lock.json scripts/npm/node_modules/package-lock.json && return
  command -v npm >/dev/null || fail "Install Node.js 20 or newer: npm was not found."
  echo '==> Installing ic-wasm and icp in scripts/npm'
  quietly npm 'Check your network connection and try again: ic-wasm and icp could not be installed' npm_ci
  cp scripts/npm/package-lock.json scripts/npm/node_modules/package-lock.json
}

export RUSTUP_AUTO_INSTALL=0
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- python helper npm
parts=()
for part; do
  "setup_$part" &
  parts+=($!)
done
for part in "${parts[@]}"; do wait "$part" || failed=yes; done
[ -z "${failed-}" ]
