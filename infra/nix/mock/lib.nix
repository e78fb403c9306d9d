# nixpkgs' real library: `EDALAB_NIXPKGS_LIB` is a folder that has it, such as a nixpkgs checkout.
import (builtins.getEnv "EDALAB_NIXPKGS_LIB" + "/lib")
