//! `open`: the lab's page in the browser.

use std::process::{Command, Stdio};

use crate::Context;

#[derive(Debug, clap::Args)]
pub struct OpenArgs {}

pub async fn run(ctx: &Context, _args: &OpenArgs) -> anyhow::Result<()> {
    let url = format!("{}/", ctx.lab()?.gateway_url());
    println!("{url}");
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|v| std::env::var_os(v).is_some());
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if has_screen {
        "xdg-open"
    } else {
        return Ok(());
    };
    let opened = Command::new(program)
        .arg(&url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(e) = opened {
        ctx.out.line(format_args!(
            "No browser was opened ({program}: {e}); the address is above"
        ));
    }
    Ok(())
}
