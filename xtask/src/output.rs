//! What a person sees while something takes long: spinners on a terminal, plain lines without one.
//!
//! Everything here goes to standard error; results, for people or as JSON, go to standard output.

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Cheap to clone; clones share the terminal.
#[derive(Debug, Clone)]
pub struct Output {
    /// None without a terminal.
    bars: Option<MultiProgress>,
    color: bool,
    silent: bool,
}

/// One long step: shown while it runs, one line when it ended.
#[derive(Debug)]
pub struct Step {
    name: String,
    started: Instant,
    bar: Option<ProgressBar>,
    /// What a plain log last said, so that it says nothing twice.
    last: Arc<Mutex<String>>,
    color: bool,
    silent: bool,
}

impl Output {
    /// Spinners when standard error is a terminal; colours unless `NO_COLOR` is set.
    pub fn detect() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            bars: terminal.then(MultiProgress::new),
            color: terminal && !no_color,
            silent: false,
        }
    }

    /// Plain lines: for callers that are programs.
    pub fn plain() -> Self {
        Self {
            bars: None,
            color: false,
            silent: false,
        }
    }

    /// Says nothing at all: for a lab inside an experiment, which tells its own story.
    pub fn silent() -> Self {
        Self {
            silent: true,
            ..Self::plain()
        }
    }

    /// Begins a step. Without a terminal, what it says first is not worth a line.
    pub fn step(&self, name: impl Into<String>, message: impl Display) -> Step {
        let name = name.into();
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            let color = if self.color { ".cyan" } else { "" };
            let template = format!("{{spinner{color}}} {{prefix:10}} {{wide_msg}} {{elapsed:>4}}");
            let style = ProgressStyle::with_template(&template);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(name.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let step = Step {
            name,
            started: Instant::now(),
            bar,
            last: Arc::default(),
            color: self.color,
            silent: self.silent,
        };
        step.tick(message);
        step
    }

    /// One line for a person, above the spinners.
    pub fn line(&self, message: impl Display) {
        match &self.bars {
            Some(bars) => bars.suspend(|| eprintln!("{message}")),
            None if self.silent => {}
            None => eprintln!("{message}"),
        }
    }
}

impl Step {
    /// What it waits for now.
    pub fn update(&self, message: impl Display) {
        let message = message.to_string();
        match &self.bar {
            Some(bar) => bar.set_message(message),
            None if self.silent => {}
            None => {
                let mut last = self.last.lock().expect("nobody panics while holding it");
                if *last != message {
                    eprintln!("{:10} {message}", self.name);
                    *last = message;
                }
            }
        }
    }

    /// The same, only where it can be overwritten: for figures that change all the time.
    pub fn tick(&self, message: impl Display) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_string());
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends it well.
    pub fn done(self, message: impl Display) {
        self.end('✓', "32", &message);
    }

    /// Ends it badly. The reason is listed at the end of the run, so a few words are enough here.
    pub fn fail(self, message: impl Display) {
        self.end('✗', "31", &message);
    }

    fn end(&self, mark: char, code: &str, message: &dyn Display) {
        let mark = if self.color {
            format!("\x1b[{code}m{mark}\x1b[0m")
        } else {
            mark.to_string()
        };
        let seconds = self.started.elapsed().as_secs_f64();
        let line = format!("{mark} {:10} {message} ({seconds:.1} s)", self.name);
        match &self.bar {
            Some(bar) => {
                bar.set_style(
                    ProgressStyle::with_template("{msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                bar.finish_with_message(line);
            }
            None if self.silent => {}
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        // An early return must not leave a spinner turning.
        if let Some(bar) = &self.bar
            && !bar.is_finished()
        {
            bar.finish_and_clear();
        }
    }
}
