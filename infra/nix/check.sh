#!/usr/bin/env bash
# Proves of the flake what can be proved on this machine; docs/nix.md says what that is worth.
#
#   infra/nix/check.sh            with a network: the real evaluation, for every system
#   infra/nix/check.sh INPUTS     without: INPUTS holds checkouts named flake-parts, crane, rust-overlay
#                                 and nixpkgs (its `lib` folder is enough), of the locked revisions
#
# It needs Nix 2.8 or later, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."

inputs=${1:-}
failed=0
nix() { command nix --extra-experimental-features 'nix-command flakes' "$@" 2> >(grep -v nixbld >&2); }
ok() { echo "ok    $*"; }
fail() { echo "FAIL  $*"; failed=$((failed + 1)); }
skip() { echo "skip  $*"; }

for file in flake.nix infra/nix/*.nix infra/nix/mock/*.nix; do
    if nix-instantiate --parse "$file" >/dev/null 2>&1; then ok "$file parses"; else fail "$file does not parse"; fi
done

# flake.nix and flake.lock name the same inputs, and each is pinned by revision and hash.
lock='
  let
    lock = builtins.fromJSON (builtins.readFile ./flake.lock);
    inputs = (import ./flake.nix).inputs;
    names = builtins.attrNames inputs;
    node = name: lock.nodes.${lock.nodes.root.inputs.${name}};
    matches = name:
      let found = builtins.match "github:([^/]+)/([^/]+)(/(.+))?" inputs.${name}.url; in
      found != null
      && (node name).original.owner == builtins.elemAt found 0
      && (node name).original.repo == builtins.elemAt found 1
      && ((node name).original.ref or null) == builtins.elemAt found 3
      && builtins.stringLength (node name).locked.rev == 40
      && builtins.match "sha256-.{43}=" (node name).locked.narHash != null;
  in
    builtins.attrNames lock.nodes.root.inputs == names && builtins.all matches names'
if [ "$(nix-instantiate --eval --expr "$lock" 2>/dev/null)" = true ]; then
    ok "flake.lock pins the inputs of flake.nix"
else
    fail "flake.lock and flake.nix disagree"
fi

if [ -n "$inputs" ]; then
    for name in flake-parts crane rust-overlay nixpkgs; do
        [ -d "$inputs/$name" ] || { skip "$name: not in $inputs"; continue; }
        locked=$(nix-instantiate --eval --expr "(builtins.fromJSON (builtins.readFile ./flake.lock)).nodes.$name.locked.narHash" 2>/dev/null | tr -d '"')
        found=$(nix hash path --sri "$inputs/$name")
        if [ "$locked" = "$found" ]; then
            ok "$name is what flake.lock pins"
        elif [ "$name" = nixpkgs ]; then
            skip "nixpkgs: another tree than the locked one; only its lib is used"
        else
            fail "$name is $found, flake.lock pins $locked"
        fi
    done
    channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
    if [ -d "$inputs/rust-overlay" ]; then
        if [ -f "$inputs/rust-overlay/manifests/stable/$channel.nix" ]; then
            ok "rust-overlay knows Rust $channel"
        else
            fail "rust-overlay does not know Rust $channel"
        fi
    fi
    out=$(mktemp)
    trap 'rm -f "$out"' EXIT
    if EDALAB_NIXPKGS_LIB="$(realpath "$inputs/nixpkgs")" nix-instantiate --eval --strict --json \
        infra/nix/mock/evaluate.nix --arg flakeParts "$(realpath "$inputs/flake-parts")" >/dev/null 2>"$out"; then
        ok "the outputs evaluate for four systems, with stand-ins for packages"
    else
        fail "the outputs do not evaluate"
        cat "$out"
    fi
elif timeout 300 nix --extra-experimental-features 'nix-command flakes' flake archive --no-update-lock-file . >/dev/null 2>&1; then
    # Older versions look at every system without being asked.
    every=()
    if nix flake check --help 2>/dev/null | grep -q all-systems; then every=(--all-systems); fi
    if nix flake check --no-build "${every[@]}" --no-update-lock-file .; then
        ok "the outputs evaluate for every system, with the real inputs"
    else
        fail "nix flake check"
    fi
else
    skip "the evaluation: the inputs cannot be fetched here, and no folder with them was given"
fi

echo "$failed failed"
[ "$failed" -eq 0 ]
