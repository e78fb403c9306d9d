//! The report as one page: tables and diagrams, readable from a file, on paper, in the dark.

use super::findings::{Benchmark, Bound, Figure, number};
use super::report::Report;
use super::svg::{self, escape};

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub fn page(report: &Report) -> String {
    let title = format!(
        "EDA-Lab: performance, {}",
        report.at.format("%Y-%m-%d %H:%M UTC")
    );
    let mut body = format!("<h1>{title}</h1>\n");
    let (failures, missed) = (report.failures(), report.missed());
    body += &match (failures.len(), missed.len()) {
        (0, 0) => "<p class=\"verdict met\">Everything that was asked for is met.</p>\n".into(),
        (0, n) => format!(
            "<p class=\"verdict missed\">All floors hold; {n} goal(s) missed: {}.</p>\n",
            escape(&missed.join("; "))
        ),
        (n, _) => format!(
            "<p class=\"verdict failed\">{n} failure(s): {}.</p>\n",
            escape(&failures.join("; "))
        ),
    };
    body += &format!(
        "<p class=\"where\">{}<br>{}{}</p>\n",
        escape(&report.machine.text()),
        escape(&report.lab.text()),
        if report.quick {
            "<br>Measured quickly: short runs, as CI makes them."
        } else {
            ""
        }
    );
    body += "<nav>";
    for benchmark in &report.benchmarks {
        let name = escape(&benchmark.name);
        body += &format!("<a href=\"#{name}\">{name}</a> ");
    }
    body += "</nav>\n";
    for benchmark in &report.benchmarks {
        body += &section(benchmark);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title>\n<style>\n{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )
}

fn section(benchmark: &Benchmark) -> String {
    let mut out = format!(
        "<section id=\"{}\"><h2>{}</h2>\n<p>{}</p>\n",
        escape(&benchmark.name),
        escape(&benchmark.title),
        escape(&benchmark.how)
    );
    out += "<div class=\"wide\"><table><thead><tr><th>Figure</th><th>Median</th><th>Spread</th>\
            <th>Floor</th><th>Goal</th><th>Verdict</th></tr></thead><tbody>\n";
    out += &benchmark.figures.iter().map(row).collect::<String>();
    out += "</tbody></table></div>\n<div class=\"plots\">\n";
    out += &benchmark.plots.iter().map(svg::plot).collect::<String>();
    out += "</div>\n";
    if let Some(table) = &benchmark.table {
        out += &format!(
            "<details><summary>Every run</summary><pre>{}</pre></details>\n",
            escape(table)
        );
    }
    out += "<ul class=\"notes\">\n";
    let mut notes = benchmark.notes.clone();
    if let Some(verified) = &benchmark.verified {
        notes.push(format!("verify afterwards: {}", verified.summary));
    }
    notes.push(format!(
        "CPU steal: {} %",
        number(benchmark.steal_percent.round())
    ));
    for note in notes {
        out += &format!("<li>{}</li>\n", escape(&note));
    }
    out + "</ul></section>\n"
}

fn row(figure: &Figure) -> String {
    let bound = |bound: Option<Bound>| {
        escape(&bound.map_or(String::new(), |bound| bound.text(&figure.unit)))
    };
    let class = match figure.verdict() {
        "met" => "met",
        "FAILED" => "failed",
        "" => "",
        _ => "missed",
    };
    let spread = match figure.runs {
        1 => String::new(),
        runs => format!(
            "{} – {} <small>({runs} runs)</small>",
            number(figure.value.min),
            number(figure.value.max)
        ),
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td>{} {}</td><td>{spread}</td><td>{}</td><td>{}</td>\
         <td class=\"{class}\">{}</td></tr>\n",
        escape(&figure.name),
        number(figure.value.median),
        escape(&figure.unit),
        bound(figure.floor),
        bound(figure.goal),
        figure.verdict()
    )
}

#[cfg(test)]
mod tests {
    use crate::perf::report::tests::report;

    #[test]
    fn the_page_needs_nothing_else_and_shows_text_as_text() {
        let page = super::page(&report(30.0));
        for text in ["http:", "https:", "<script", "<link", "src="] {
            assert!(!page.contains(text), "{text}");
        }
        assert!(page.contains("Latency &lt;of&gt; events") && page.contains("<svg"));
        assert!(page.contains("1 goal(s) missed: latency: p99"), "{page}");
        assert!(super::page(&report(3.0)).contains("Everything that was asked for is met"));
        assert!(super::page(&report(999.0)).contains("verdict failed"));
    }
}
