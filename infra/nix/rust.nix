# The services and xtask, by crane: dependencies are built once and reused by every check.
{ inputs, lib, ... }: {
  perSystem = { system, config, pkgs, ... }:
    let
      root = ../..;
      rustPkgs = import inputs.nixpkgs {
        inherit system;
        overlays = [ inputs.rust-overlay.overlays.default ];
      };
      # The same toolchain as rustup gives: the file decides for both.
      toolchain = rustPkgs.rust-bin.fromRustupToolchainFile (root + "/rust-toolchain.toml");
      crane = (inputs.crane.mkLib rustPkgs).overrideToolchain toolchain;

      # What the build reads: Rust, Avro schemas, SQL, scenarios, pinned lists. Not the web page.
      src = lib.fileset.toSource {
        inherit root;
        fileset = lib.fileset.unions [
          (root + "/Cargo.toml")
          (root + "/Cargo.lock")
          (root + "/.cargo/config.toml")
          (root + "/rust-toolchain.toml")
          (root + "/schemas")
          (root + "/services")
          (root + "/xtask")
          (root + "/tests")
          (root + "/infra")
          (root + "/docs")
        ];
      };
      common = {
        inherit src;
        pname = "edalab";
        version = (lib.importTOML (root + "/Cargo.toml")).workspace.package.version;
        strictDeps = true;
        nativeBuildInputs = with pkgs; [ pkg-config cmake perl ];
        buildInputs = with pkgs; [ openssl zlib ];
        # Tests that need a broker run in `cargo xtask test`, not in a sandbox without a network.
        doCheck = false;
      };
      cargoArtifacts = crane.buildDepsOnly common;
      binaries = [ "xtask" "registry" "simulator" "bancaire" "gateway" ];
    in
    {
      _module.args = { inherit toolchain binaries; };

      packages.edalab = crane.buildPackage (common // {
        inherit cargoArtifacts;
        cargoExtraArgs = lib.concatMapStringsSep " " (name: "--package ${name}") binaries;
        meta.mainProgram = "xtask";
      });
      packages.default = config.packages.edalab;

      # `nix run . -- up`: in a checkout of the repository, with the binaries that Nix built.
      apps.default = {
        type = "app";
        program = lib.getExe (pkgs.writeShellApplication {
          name = "edalab";
          runtimeInputs = [ config.packages.edalab pkgs.jdk17_headless pkgs.postgresql_16 ];
          text = ''
            export EDALAB_BIN_DIR=${config.packages.edalab}/bin
            export EDALAB_PG_BINDIR=${pkgs.postgresql_16}/bin
            export KAFKA_HOME=${pkgs.apacheKafka}
            exec xtask "$@"
          '';
        });
      };

      checks = {
        inherit (config.packages) edalab;
        format = crane.cargoFmt { inherit src; inherit (common) pname version; };
        clippy = crane.cargoClippy (common // {
          inherit cargoArtifacts;
          cargoClippyExtraArgs = "--workspace --all-targets -- --deny warnings";
        });
        unit = crane.cargoTest (common // {
          inherit cargoArtifacts;
          doCheck = true;
          cargoTestExtraArgs = "--workspace --lib --bins";
        });
        documentation = crane.cargoDoc (common // { inherit cargoArtifacts; });
      };
    };
}
