#!/usr/bin/env bash
# Builds one canister of this workspace: bash build.sh CANISTER [TARGET]
# TARGET is wasm64-unknown-unknown; wasm32-unknown-unknown builds the same source for comparison.
set -euo pipefail

fail() { # WHAT-WENT-WRONG WHAT-TO-DO
  printf 'build.sh: %s\n  %s\n' "$1" "$2" >&2
  exit 1
}

CDPATH='' cd -- "$(dirname -- "$0")"
canister=${1:-}
target=${2:-wasm64-unknown-unknown}
nightly=$(sed -n 's/^channel *= *"\(.*\)".*/\1/p' rust-toolchain.toml || true)
export RUSTUP_AUTO_INSTALL=0 # Say what is missing; download nothing unasked.

[ -n "$canister" ] && [ $# -le 2 ] ||
  fail 'Not one canister named.' 'Name a package of this workspace: bash build.sh CANISTER [TARGET]'
case $target in
  wasm64-unknown-unknown | wasm32-unknown-unknown) ;;
  *) fail "Unknown target $target." 'Use wasm64-unknown-unknown or wasm32-unknown-unknown.' ;;
esac
[ -n "$nightly" ] ||
  fail 'rust-toolchain.toml pins no toolchain.' 'Bring back its line: channel = "nightly-YYYY-MM-DD"'
command -v rustup >/dev/null ||
  fail 'rustup not found, and cargo alone cannot switch to a nightly.' 'Install it from https://rustup.rs and open a new terminal.'
RUSTC=$(rustup which --toolchain "$nightly" rustc 2>/dev/null) ||
  fail "Rust $nightly is not installed." "rustup toolchain install $nightly --profile minimal -c rust-src -c rustfmt -c clippy"
[ -d "${RUSTC%/bin/rustc}/lib/rustlib/src/rust/library" ] ||
  fail "The source of the standard library is not installed for $nightly." "rustup component add rust-src --toolchain $nightly"

# The caller's environment must not change the module; what this project needs belongs in .cargo/config.toml.
unset RUSTFLAGS RUSTC_WORKSPACE_WRAPPER
for name in "${!CARGO_@}"; do
  case $name in
    *RUSTFLAGS | *INCREMENTAL | *WORKSPACE_WRAPPER | CARGO_PROFILE_* | CARGO_TARGET_WASM* | CARGO_UNSTABLE_*) unset "$name" ;;
  esac
done
export RUSTC

packages=$(rustup run "$nightly" cargo metadata --no-deps --format-version 1) ||
  fail 'cargo cannot read this workspace.' 'Mend what it names above.'
packages=$(printf '%s\n' "$packages" | grep -o '"name":"[^"]*","version"' | cut -d '"' -f 4 || true)
printf '%s\n' "$packages" | grep -Fqx -- "$canister" ||
  fail "This workspace has no package $canister." "It has: $(printf '%s' "$packages" | tr '\n' ' ')"

# --target-dir: dfx.json and icp.yaml look for the module under target/, wherever the caller's own target folder is.
# --config: vector instructions for the crates of this workspace, in addition to rustflags in .cargo/config.toml. Crates from
# elsewhere may have vector code that only wasm32 can compile, and build scripts run on this machine.
rustup run "$nightly" cargo build -Z build-std=std,panic_abort --target "$target" --release -p "$canister" --target-dir target \
  -Z profile-rustflags --config 'profile.release.rustflags = ["-Ctarget-feature=+simd128"]' \
  --config 'profile.release.package."*".rustflags = []' --config 'profile.release.build-override.rustflags = []' ||
  fail "$canister did not compile." 'Mend the first error above.'

wasm=$PWD/target/$target/release/${canister//-/_}.wasm
[ -f "$wasm" ] ||
  fail "$canister is not a canister: it made no module." 'Its Cargo.toml needs: [lib] crate-type = ["cdylib"]'
sha256=$( (sha256sum "$wasm" 2>/dev/null || shasum -a 256 "$wasm") | cut -d ' ' -f 1)
printf '%s: %d bytes, sha256 %s\n' "$wasm" "$(wc -c <"$wasm")" "$sha256"
