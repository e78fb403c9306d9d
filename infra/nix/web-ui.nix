# The web page: npm's lock file is the pin, so no hash of all packages has to be kept by hand.
{ lib, ... }: {
  perSystem = { pkgs, ... }: {
    packages.web-ui = pkgs.buildNpmPackage {
      pname = "edalab-web-ui";
      version = (lib.importJSON ../../web-ui/package.json).version;
      src = lib.cleanSource ../../web-ui;
      npmDeps = pkgs.importNpmLock { npmRoot = ../../web-ui; };
      npmConfigHook = pkgs.importNpmLock.npmConfigHook;
      nodejs = pkgs.nodejs_22;
      installPhase = ''
        runHook preInstall
        cp -r dist $out
        runHook postInstall
      '';
    };
  };
}
