{
  description = "EDA-Lab: a reproducible laboratory of event-driven architecture";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    flake-parts = {
      url = "github:hercules-ci/flake-parts";
      inputs.nixpkgs-lib.follows = "nixpkgs";
    };
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    crane.url = "github:ipetkov/crane";
  };

  outputs = inputs:
    inputs.flake-parts.lib.mkFlake { inherit inputs; } {
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      # Each concern is a page of its own, as the services' configuration is.
      imports = [
        ./infra/nix/rust.nix
        ./infra/nix/web-ui.nix
        ./infra/nix/images.nix
        ./infra/nix/shell.nix
      ];
    };
}
