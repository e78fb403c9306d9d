# What a package looks like to those that only name it.
name: args: {
  type = "derivation";
  inherit name args;
  outPath = "/nix/store/00000000000000000000000000000000-${name}";
  drvPath = "/nix/store/00000000000000000000000000000000-${name}.drv";
  meta = { mainProgram = name; } // (args.meta or { });
  home = "/nix/store/00000000000000000000000000000000-${name}/lib/openjdk";
  version = args.version or "0";
  __toString = self: self.outPath;
}
