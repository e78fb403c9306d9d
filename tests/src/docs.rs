//! The project's Markdown pages as tests read them: headings, links and shell blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// A page of the repository.
#[derive(Debug)]
pub struct Page {
    /// Relative to the repository's root.
    pub path: PathBuf,
    pub headings: Vec<Heading>,
    pub links: Vec<Link>,
    pub blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    pub level: usize,
    pub text: String,
}

#[derive(Debug, Clone)]
pub struct Link {
    pub line: usize,
    pub target: String,
}

/// A fenced block: what stands behind its first fence, and what is in it.
#[derive(Debug, Clone)]
pub struct Block {
    pub line: usize,
    /// Such as `sh runnable`.
    pub info: String,
    pub text: String,
    /// The nearest heading above.
    pub heading: String,
}

impl Block {
    /// Marked to be run by a test, as it stands.
    pub fn is_runnable(&self) -> bool {
        self.info.split_whitespace().eq(["sh", "runnable"])
    }

    /// Its commands, without comments, which may be in another language.
    pub fn commands(&self) -> Vec<&str> {
        let lines = self.text.lines();
        lines
            .map(|line| line.split("  # ").next().unwrap_or(line).trim_end())
            .filter(|line| !line.trim_start().starts_with('#'))
            .collect()
    }
}

pub fn root() -> PathBuf {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.expect("tests is in the workspace").to_owned()
}

/// Compares a generated page, by its path from the root, with the committed one, which `UPDATE=1`
/// writes first.
///
/// # Panics
/// When they differ.
#[track_caller]
pub fn assert_current(path: &str, page: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, page).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    let (now, then) = (page.lines(), committed.lines());
    let line = now.zip(then).take_while(|(now, then)| now == then).count() + 1;
    assert!(
        committed == page,
        "{path} is not what the code says from line {line} on: run cargo xtask docs"
    );
}

/// Every Markdown page of the repository, in order.
pub fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is readable") {
            let entry = entry.expect("the entry is readable");
            let name = entry.file_name().to_string_lossy().into_owned();
            // Hidden folders, what is built and what is fetched are not ours.
            let is_ours = !name.starts_with('.') && name != "target" && name != "node_modules";
            if entry.path().is_dir() && is_ours {
                folders.push(entry.path());
            } else if name.ends_with(".md") {
                found.push(page(&entry.path()));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        found.iter().any(|page| page.path == Path::new("README.md")),
        "the README is not among them"
    );
    found
}

/// One page, by its path relative to the root.
pub fn read(path: &str) -> Page {
    page(&root().join(path))
}

fn page(path: &Path) -> Page {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|e| panic!("{} is not readable: {e}", path.display()));
    let path = path.strip_prefix(root()).expect("it is under the root");
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Page {
    let mut page = Page {
        path: path.to_owned(),
        headings: Vec::new(),
        links: Vec::new(),
        blocks: Vec::new(),
    };
    let mut open: Option<(String, Block)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if let Some((fence, block)) = &mut open {
            if line.trim() == fence {
                page.blocks.extend(open.take().map(|(_, block)| block));
            } else {
                block.text.push_str(line);
                block.text.push('\n');
            }
            continue;
        }
        let ticks = line.trim_start().chars().take_while(|c| *c == '`').count();
        if ticks >= 3 {
            let last = page.headings.last();
            let block = Block {
                line: number,
                info: line.trim().trim_start_matches('`').to_owned(),
                text: String::new(),
                heading: last.map_or_else(String::new, |heading| heading.text.clone()),
            };
            open = Some(("`".repeat(ticks), block));
            continue;
        }
        let level = line.chars().take_while(|c| *c == '#').count();
        if level > 0 && line[level..].starts_with(' ') {
            page.headings.push(Heading {
                level,
                text: line[level..].trim().to_owned(),
            });
        }
        let links = targets(line);
        page.links.extend(links.into_iter().map(|target| Link {
            line: number,
            target,
        }));
    }
    assert!(open.is_none(), "{}: a fence stays open", path.display());
    page
}

/// `[text](target)` and `[name]: target`; what stands in `code` is none.
fn targets(line: &str) -> Vec<String> {
    let outside: String = line
        .split('`')
        .enumerate()
        .filter(|(i, _)| i % 2 == 0)
        .map(|(_, text)| text)
        .collect();
    let mut found = Vec::new();
    let mut rest = outside.as_str();
    while let Some(at) = rest.find("](") {
        rest = &rest[at + 2..];
        let end = rest.find(')').unwrap_or(rest.len());
        found.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    if let Some((name, target)) = outside.split_once("]: ")
        && name.starts_with('[')
    {
        found.push(target.trim().to_owned());
    }
    found
}

impl Page {
    /// What a link to a heading of this page may say, as GitHub makes it.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let anchors = self.headings.iter().map(|heading| {
            let slug = slug(&heading.text);
            let count = seen.entry(slug.clone()).or_default();
            *count += 1;
            match *count {
                1 => slug,
                n => format!("{slug}-{}", n - 1),
            }
        });
        anchors.collect()
    }

    /// The links that lead nowhere, each with the reason.
    pub fn broken_links(&self) -> Vec<String> {
        let broken = self.links.iter().filter_map(|link| {
            let reason = self.why_broken(&link.target)?;
            let place = format!("{}:{}", self.path.display(), link.line);
            Some(format!("{place}: {}: {reason}", link.target))
        });
        broken.collect()
    }

    fn why_broken(&self, target: &str) -> Option<String> {
        // Others' pages come and go, and a test must not need a network.
        if ["https://", "http://", "mailto:"]
            .iter()
            .any(|scheme| target.starts_with(scheme))
        {
            return None;
        }
        if target.starts_with('/') {
            return Some("only a relative link works everywhere".into());
        }
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let path = if path.is_empty() {
            self.path.clone()
        } else {
            normal(&folder.join(path))
        };
        let there = root().join(&path);
        if !there.exists() {
            return Some("there is no such file".into());
        }
        if anchor.is_empty() {
            return None;
        }
        if path.extension().is_some_and(|extension| extension == "md") {
            let known = page(&there).anchors();
            return (!known.contains(anchor)).then(|| format!("no heading is #{anchor}"));
        }
        let wanted: Option<usize> = anchor.strip_prefix('L').and_then(|n| n.parse().ok());
        let lines = std::fs::read_to_string(&there).map_or(0, |text| text.lines().count());
        match wanted {
            Some(line) if line <= lines => None,
            _ => Some(format!("the file has no #{anchor}")),
        }
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A page\n\nSee [`code`](src/lib.rs) and [there](#a-page), not `[x](y)`.\n\n\
        ## It's *new*: a_b\n\n```sh runnable\n# why\nls  # all\n```\n\n[later]: other.md\n";

    #[test]
    fn headings_links_and_blocks_are_found() {
        let page = parse(Path::new("tests/x.md"), TEXT);
        let targets: Vec<&str> = page.links.iter().map(|l| l.target.as_str()).collect();
        assert_eq!(targets, ["src/lib.rs", "#a-page", "other.md"]);
        assert!(page.anchors().contains("its-new-a_b"));
        let block = &page.blocks[0];
        assert!(block.is_runnable());
        assert_eq!(block.commands(), ["ls"]);
        assert_eq!((block.line, block.heading.as_str()), (7, "It's *new*: a_b"));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_told_with_its_line() {
        let page = parse(
            Path::new("tests/x.md"),
            "[a](src/lib.rs) [b](src/lib.rs#L100000) [c](nowhere.md)\n[d](../README.md#nowhere) [e](/etc)\n",
        );
        let broken = page.broken_links();
        assert_eq!(broken.len(), 4, "{broken:?}");
        assert!(broken[0].starts_with("tests/x.md:1: src/lib.rs#L100000"));
    }

    #[test]
    fn equal_headings_have_numbered_anchors() {
        let page = parse(Path::new("x.md"), "# One\n# One\n");
        assert!(page.anchors().contains("one-1"));
    }
}
