#!/usr/bin/env bash
# Builds all canisters of this workspace for wasm64, or one: bash build.sh [CANISTER [TARGET]]
# TARGET wasm32-unknown-unknown builds the same source for wasm32.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")"
fail() { # WHAT-TO-DO
  printf 'build.sh: %s\n' "$1" >&2
  exit 1
}

# The caller's environment must not change the module; what this project needs belongs in .cargo/config.toml.
unset RUSTFLAGS RUSTC_WORKSPACE_WRAPPER RUSTUP_TOOLCHAIN
for name in "${!CARGO_@}"; do
  case $name in
    *RUSTFLAGS | *INCREMENTAL | *WORKSPACE_WRAPPER | CARGO_PROFILE_* | CARGO_TARGET_WASM* | CARGO_UNSTABLE_*) unset "$name" ;;
  esac
done
cargo=$(rustup which cargo) # The nightly in rust-toolchain.toml, whichever cargo comes first on PATH.
export RUSTC="${cargo%cargo}rustc"

# Without a name: the packages that depend on ic-cdk, each built alone, so that it gets the same features as by its name.
canisters=${1:-}
[ -n "$canisters" ] || canisters=$("$cargo" tree --workspace --invert ic-cdk --depth 1 --edges normal --target all --prefix none |
  sed -n 's|^\([^ ]*\) v[^ ]* (/.*|\1|p' | sort -u)
for canister in $canisters; do
  # --config: vector instructions for the crates of this workspace, in addition to rustflags in .cargo/config.toml. Crates from
  # elsewhere may have vector code that only wasm32 can compile, and build scripts run on this machine.
  modules=$("$cargo" build -Z build-std=std,panic_abort --target "${2:-wasm64-unknown-unknown}" --release -p "$canister" \
    --target-dir target -Z profile-rustflags --config 'profile.release.rustflags = ["-Ctarget-feature=+simd128"]' \
    --config 'profile.release.package."*".rustflags = []' --config 'profile.release.build-override.rustflags = []' \
    --message-format json-render-diagnostics | sed -n 's|.*"\([^"]*/release/[^"/]*\.wasm\)".*|\1|p')
  while IFS= read -r wasm && [ -n "$wasm" ]; do
    LC_ALL=C grep -aq $'\3ic0' "$wasm" ||
      fail "Use ic-cdk 0.18.3 or newer: $wasm imports nothing from ic0, so every call would trap."
    if LC_ALL=C grep -aq 'ic-stable-structures-' "$wasm" && ! LC_ALL=C grep -aq $'\3ic0.stable64_' "$wasm"; then
      echo "build.sh: warning: Give ic-stable-structures a Memory that calls ic_cdk::stable: $wasm keeps its structures on the heap." >&2
    fi
    [ -z "${ICP_WASM_OUTPUT_PATH:-}" ] || cp "$wasm" "$ICP_WASM_OUTPUT_PATH" # For icp-cli.
    sha256=$( (sha256sum "$wasm" 2>/dev/null || shasum -a 256 "$wasm") | cut -d ' ' -f 1)
    printf '%s: %d bytes, sha256 %s\n' "$wasm" "$(wc -c <"$wasm")" "$sha256"
    made=yes
  done <<<"$modules"
done
[ -n "${made:-}" ] ||
  fail "Write crate-type = [\"cdylib\"] below [lib] in Cargo.toml: ${1:-what uses ic-cdk here} is neither a cdylib nor a binary."
