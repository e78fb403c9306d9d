//! simulator with its fail points and deliberate defects, for `cargo xtask chaos`: the same program,
//! built with the feature `faults`.

#[path = "../main.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
