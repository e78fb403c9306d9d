//! Every metric that the services register.

use crate::reference::{check, code, columns, head, row};

#[test]
fn the_page_of_metrics_is_current() {
    let mut page = head(
        "Metrics",
        "Every service serves all of these at `/metrics`, with `process_*` beside them; those that it \
         has no use for stay\nempty or at 0. A histogram has the series `_bucket`, `_sum` and \
         `_count`. What to look at, and when to worry:\n[observability](../observability.md). Declared \
         in [`chassis::metrics`](../../services/chassis/src/metrics.rs).",
    );
    page += &columns(["metric", "kind", "labels", "what"]);
    let mut rows = Vec::new();
    for metric in chassis::metrics::all() {
        for (family, desc) in metric.collect().iter().zip(metric.desc()) {
            let kind = format!("{:?}", family.get_field_type()).to_lowercase();
            let labels: Vec<String> = desc.variable_labels.iter().map(|l| code(l)).collect();
            rows.push(row([
                code(&desc.fq_name),
                kind,
                labels.join(", "),
                desc.help.clone(),
            ]));
        }
    }
    rows.sort();
    page += &rows.concat();
    check("metrics.md", &page);
}
