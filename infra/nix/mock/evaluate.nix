# The flake's outputs, evaluated with the real flake-parts and nixpkgs' real library, but with stand-ins
# for packages: it proves that the modules fit together and name nothing that is not listed in
# `attributes.txt`, not that anything builds. Run by `check.sh`.
{ flakeParts }:
let
  lib = import ./lib.nix;
  root = ../../..;
  package = import ./package.nix;

  crane = _pkgs: {
    overrideToolchain = toolchain: {
      buildDepsOnly = args: package "dependencies" (args // { inherit toolchain; });
      buildPackage = args: package args.pname args;
      cargoFmt = args: package "format" args;
      cargoClippy = args: package "clippy" args;
      cargoTest = args: package "test" args;
      cargoDoc = args: package "documentation" args;
    };
  };

  nixpkgs = {
    _type = "flake";
    inherit lib;
    # What `import inputs.nixpkgs { … }` finds.
    outPath = ./nixpkgs.nix;
    legacyPackages = lib.genAttrs systems (system: import ./nixpkgs.nix { inherit system; });
  };
  systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];

  inputs = {
    inherit nixpkgs;
    rust-overlay = { _type = "flake"; overlays.default = _final: _prev: { }; };
    crane = { _type = "flake"; mkLib = crane; };
    flake-parts = (import (flakeParts + "/flake.nix")).outputs {
      nixpkgs-lib = { inherit lib; };
      self = { };
    };
    self = outputs // { inherit inputs; outPath = root; _type = "flake"; };
  };
  flake = import (root + "/flake.nix");
  outputs = flake.outputs (inputs // { inherit (inputs) self; });

  # Every attribute of every package is looked at, so that a misspelt name is met.
  shape = args: builtins.deepSeq (removeAttrs args [ "src" "toolchain" "cargoArtifacts" ]) (lib.mapAttrs
    (_: value:
      if lib.isFunction value then "function"
      else if builtins.isList value then map (item: if lib.isAttrs item then item.name or "set" else toString item) value
      else if lib.isAttrs value then value.name or (lib.attrNames value)
      else builtins.typeOf value)
    (removeAttrs args [ "src" "toolchain" ]));
in
{
  inputs = lib.attrNames flake.inputs;
  systems = lib.genAttrs systems (system: {
    packages = lib.mapAttrs (_: p: shape p.args) outputs.packages.${system};
    checks = lib.mapAttrs (_: p: shape p.args) outputs.checks.${system};
    shell = shape outputs.devShells.${system}.default.args;
    app = outputs.apps.${system}.default.program;
  });
}
