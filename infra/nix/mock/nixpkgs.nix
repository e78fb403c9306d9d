# Stand-ins for nixpkgs' packages: only those that `attributes.txt` lists exist.
{ system, overlays ? [ ] }:
let
  lib = import ./lib.nix;
  names = lib.filter (line: line != "" && !lib.hasPrefix "#" line)
    (lib.splitString "\n" (builtins.readFile ./attributes.txt));

  package = import ./package.nix;
  isLinux = lib.hasSuffix "linux" system;
in
builtins.seq overlays (lib.genAttrs names (name: package name { }) // {
  stdenv = { inherit isLinux; isDarwin = !isLinux; hostPlatform = { inherit system; }; };
  mkShell = args: package "shell" args;
  writeShellApplication = args: package args.name args;
  buildNpmPackage = args: package args.pname args;
  importNpmLock = {
    __functor = _: args: package "npm-dependencies" args;
    npmConfigHook = package "npm-config-hook" { };
  };
  runCommand = name: args: text: package name (args // { inherit text; });
  writeText = name: text: package name { inherit text; };
  linkFarm = name: entries: package name { inherit entries; };
  dockerTools.buildLayeredImage = args: package "image" args;
  rust-bin.fromRustupToolchainFile = file:
    package "rust-${(lib.importTOML file).toolchain.channel}" { };
})
