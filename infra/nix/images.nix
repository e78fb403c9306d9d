# OCI images of the project's own services, layered: a change of one binary is one small layer.
#
# Third parties' images are not built here: `infra/images.toml` pins them by digest, for Docker and
# for this flake alike. `nix build .#images` is a folder with one archive a service.
{ lib, ... }: {
  perSystem = { pkgs, config, binaries, ... }:
    let
      services = lib.subtractLists [ "xtask" ] binaries;
      version = config.packages.edalab.version;
      image = name: pkgs.dockerTools.buildLayeredImage {
        name = "edalab/${name}";
        tag = version;
        contents = [ pkgs.cacert ];
        config = {
          # Only this service's binary, not the whole package.
          Cmd = [ "${pkgs.runCommand name { } ''install -D ${config.packages.edalab}/bin/${name} $out/bin/${name}''}/bin/${name}" ];
          Env = [ "SERVICE_HOST=0.0.0.0" ];
          User = "65534:65534";
          Labels."edalab.role" = name;
        };
      };
      pinned = lib.importTOML ../images.toml;
    in
    {
      # Inside `packages`: which attributes a module sets must not depend on `pkgs`, which is set by one.
      packages = lib.optionalAttrs pkgs.stdenv.isLinux {
        images = pkgs.linkFarm "edalab-images" (
          map (name: { name = "${name}.tar.gz"; path = image name; }) services
          ++ [{ name = "images.json"; path = pkgs.writeText "images.json" (builtins.toJSON pinned); }]
        );
      };
    };
}
