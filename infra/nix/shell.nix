# `nix develop`: everything that the lab and its tests use, so that it runs without Docker on real
# parts. xtask finds PostgreSQL and Kafka by the two variables.
{ lib, ... }: {
  perSystem = { pkgs, toolchain, ... }: {
    devShells.default = pkgs.mkShell {
      packages = with pkgs; [
        toolchain
        cargo-deny
        nodejs_22
        jdk17_headless
        maven
        apacheKafka
        postgresql_16
        prometheus
        kcat
        # What the guides' and the tests' commands use.
        curl
        git
        python3
        # librdkafka's and OpenSSL's build needs.
        cmake
        pkg-config
        perl
        openssl
        zlib
      ] ++ lib.optionals pkgs.stdenv.isLinux [ chromium ];
      env = {
        EDALAB_PG_BINDIR = "${pkgs.postgresql_16}/bin";
        KAFKA_HOME = "${pkgs.apacheKafka}";
        JAVA_HOME = "${pkgs.jdk17_headless.home}";
      } // lib.optionalAttrs pkgs.stdenv.isLinux {
        CHROMIUM = lib.getExe pkgs.chromium;
      };
    };
  };
}
