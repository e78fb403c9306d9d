//! The documents hold together: every relative link leads somewhere, the French pages follow the
//! English ones, and the steps of the exercises are the same in both languages.

mod reference;

use std::path::{Path, PathBuf};

use tests::docs::{self, Page};

#[test]
fn every_link_leads_somewhere() {
    let pages = docs::pages();
    let broken: Vec<String> = pages.iter().flat_map(Page::broken_links).collect();
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    let links: usize = pages.iter().map(|page| page.links.len()).sum();
    assert!(links > 100, "only {links} links were found");
}

/// What is read first is there in both languages. Pages for people who change the code are in English alone; a page that is new may be for a while.
const IN_BOTH: [&str; 12] = [
    "README.md",
    "docs/ARCHITECTURE.md",
    "docs/backends.md",
    "docs/life-of-an-event.md",
    "docs/nix.md",
    "docs/observability.md",
    "docs/patterns/01-pub-sub.md",
    "docs/performance.md",
    "docs/registry.md",
    "docs/reliability.md",
    "docs/scale.md",
    "docs/validate-mvp.md",
];

#[test]
fn what_is_read_first_is_in_both_languages() {
    let pages = docs::pages();
    let decisions = pages.iter().map(|page| page.path.as_path());
    let decisions = decisions.filter(|path| path.starts_with("docs/adr"));
    let wanted = IN_BOTH.iter().map(Path::new).chain(decisions);
    let missing = wanted.filter(|path| {
        let has = |path: &Path| pages.iter().any(|page| page.path == path);
        !has(path) || !has(&french(path))
    });
    let missing: Vec<&Path> = missing.collect();
    assert!(missing.is_empty(), "not in both languages: {missing:?}");
}

/// `docs/patterns/x.md` → `docs/fr/patterns/x.md`; `README.md` → `docs/fr/README.md`.
fn french(path: &Path) -> PathBuf {
    let below = path.strip_prefix("docs").unwrap_or(path);
    Path::new("docs/fr").join(below)
}

/// A page that has a French one has the same headings there, level by level, and the same blocks to
/// run, so that neither says less than the other.
#[test]
fn french_pages_follow_the_english_ones() {
    let pages = docs::pages();
    let mut wrong = Vec::new();
    let mut pairs = 0;
    for page in pages
        .iter()
        .filter(|page| !page.path.starts_with("docs/fr"))
    {
        let translated = french(&page.path);
        let Some(other) = pages.iter().find(|other| other.path == translated) else {
            continue;
        };
        pairs += 1;
        let levels = |page: &Page| page.headings.iter().map(|h| h.level).collect::<Vec<_>>();
        if levels(page) != levels(other) {
            wrong.push(format!(
                "{} has other headings than {}",
                translated.display(),
                page.path.display()
            ));
        }
        let commands = |page: &Page| -> Vec<Vec<String>> {
            let blocks = page.blocks.iter().filter(|block| block.is_runnable());
            let owned = |lines: Vec<&str>| lines.into_iter().map(str::to_owned).collect();
            blocks.map(|block| owned(block.commands())).collect()
        };
        if commands(page) != commands(other) {
            wrong.push(format!(
                "{} runs other commands than {}",
                translated.display(),
                page.path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(pairs > 0, "no page has a French one");
}

/// What stands under `docs/fr` translates something.
#[test]
fn no_french_page_stands_alone() {
    let pages = docs::pages();
    let all: Vec<PathBuf> = pages.iter().map(|page| page.path.clone()).collect();
    let alone = all
        .iter()
        .filter(|path| path.starts_with("docs/fr"))
        .filter(|path| !all.iter().any(|english| french(english) == **path));
    let alone: Vec<&PathBuf> = alone.collect();
    assert!(alone.is_empty(), "without an English page: {alone:?}");
}
