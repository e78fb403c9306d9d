//! Turns `avro/*.avsc` into Rust at build time; a bad schema fails the build by file and field.
//!
//! [`codegen`] does the work on text alone; what it returns is included by `src/event.rs`.

mod codegen;

use std::path::{Path, PathBuf};
use std::process::exit;

fn main() {
    println!("cargo::rerun-if-changed=avro");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=codegen.rs");
    if let Err(message) = build() {
        println!("cargo::error={message}");
        exit(1);
    }
}

fn build() -> Result<(), String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir("avro").map_err(|e| format!("schemas/avro: {e}"))? {
        let path = entry.map_err(|e| format!("schemas/avro: {e}"))?.path();
        files.push((file_name(&path), read(&path)?));
    }
    let code = codegen::generate(&files)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("events.rs"), code).map_err(|e| format!("failed to write: {e}"))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("schemas/{}: {e}", path.display()))
}
