//! The dashboards of `infra/grafana/dashboards`, generated from here so that all panels have the
//! same form, a unit and a description. `UPDATE=1 cargo test -p xtask grafana` writes them anew.
//!
//! Their queries are asked of a real Prometheus, over a running lab, by the tests in
//! `tests/tests/observability`.

mod kafka;
mod performance;
mod services;

use serde_json::{Value, json};

/// The three of the plan, by file name.
pub fn dashboards() -> [(&'static str, Value); 3] {
    [
        ("kafka-overview.json", kafka::dashboard().build()),
        ("services-overview.json", services::dashboard().build()),
        ("performance.json", performance::dashboard().build()),
    ]
}

/// Grafana's grid has so many columns.
const COLUMNS: u32 = 24;

/// How a panel shows its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stat,
    /// A stat that says UP or DOWN.
    Status,
    TimeSeries,
    Table,
    Heatmap,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Stat | Kind::Status => "stat",
            Kind::TimeSeries => "timeseries",
            Kind::Table => "table",
            Kind::Heatmap => "heatmap",
        }
    }

    const fn height(self) -> u32 {
        match self {
            Kind::Stat | Kind::Status => 4,
            _ => 8,
        }
    }
}

/// One panel.
struct Panel {
    kind: Kind,
    title: &'static str,
    description: &'static str,
    /// As Grafana calls it: `short`, `s`, `bytes`, `percentunit`, ….
    unit: &'static str,
    width: u32,
    /// PromQL, and the legend.
    queries: Vec<(String, &'static str)>,
    /// From which value on it is yellow, and red.
    limits: Option<(f64, f64)>,
}

impl Panel {
    fn new(kind: Kind, title: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self {
            kind,
            title,
            description,
            unit,
            width: if kind.height() == 4 { 6 } else { 12 },
            queries: Vec::new(),
            limits: None,
        }
    }

    fn query(mut self, expr: impl Into<String>, legend: &'static str) -> Self {
        self.queries.push((expr.into(), legend));
        self
    }

    fn limits(mut self, yellow: f64, red: f64) -> Self {
        self.limits = Some((yellow, red));
        self
    }

    fn width(mut self, columns: u32) -> Self {
        self.width = columns;
        self
    }

    fn build(self, id: u32, (x, y): (u32, u32)) -> Value {
        let mut steps = vec![json!({"color": "green", "value": Value::Null})];
        match (self.kind, self.limits) {
            (Kind::Status, _) => {
                steps = vec![
                    json!({"color": "red", "value": Value::Null}),
                    json!({"color": "green", "value": 1}),
                ];
            }
            (_, Some((yellow, red))) => {
                steps.push(json!({"color": "yellow", "value": yellow}));
                steps.push(json!({"color": "red", "value": red}));
            }
            (_, None) => {}
        }
        let mappings = match self.kind {
            Kind::Status => json!([{"type": "value", "options": {
                "0": {"text": "DOWN", "color": "red", "index": 0},
                "1": {"text": "UP", "color": "green", "index": 1},
            }}]),
            _ => json!([]),
        };
        let is_instant = matches!(self.kind, Kind::Stat | Kind::Status | Kind::Table);
        let format = match self.kind {
            Kind::Table => "table",
            Kind::Heatmap => "heatmap",
            _ => "time_series",
        };
        let query = |((expr, legend), letter): (&(String, &str), u8)| {
            json!({
                "refId": char::from(letter).to_string(),
                "datasource": datasource(),
                "expr": expr,
                "legendFormat": legend,
                "editorMode": "code",
                "range": !is_instant,
                "instant": is_instant,
                "exemplar": self.kind == Kind::TimeSeries && expr.contains("_bucket"),
                "format": format,
            })
        };
        let targets: Vec<Value> = self.queries.iter().zip(b'A'..).map(query).collect();
        json!({
            "id": id,
            "type": self.kind.name(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.kind.height()},
            "targets": targets,
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "min": 0,
                    "mappings": mappings,
                    "thresholds": {"mode": "absolute", "steps": steps},
                    "color": {"mode": if is_instant { "thresholds" } else { "palette-classic" }},
                    "custom": self.custom(),
                },
                "overrides": [],
            },
            "options": self.options(),
        })
    }

    fn custom(&self) -> Value {
        match self.kind {
            Kind::TimeSeries => json!({
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 8,
                "showPoints": "never",
                "thresholdsStyle": {
                    "mode": if self.limits.is_some() { "dashed" } else { "off" },
                },
            }),
            Kind::Table => json!({"align": "auto"}),
            _ => json!({}),
        }
    }

    fn options(&self) -> Value {
        match self.kind {
            Kind::Stat | Kind::Status => json!({
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "colorMode": if self.kind == Kind::Status { "background" } else { "value" },
                "graphMode": "none",
                "textMode": "auto",
            }),
            Kind::TimeSeries => json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Kind::Table => json!({"showHeader": true}),
            Kind::Heatmap => json!({
                "calculate": false,
                "yAxis": {"unit": self.unit},
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
                "cellGap": 1,
            }),
        }
    }
}

/// Panels under a common title.
struct Row {
    title: &'static str,
    panels: Vec<Panel>,
}

/// A choice at the top, whose values are those of a label.
struct Variable {
    name: &'static str,
    label: &'static str,
    /// `label_values(metric, label)`.
    query: &'static str,
}

struct Dashboard {
    uid: &'static str,
    title: &'static str,
    description: &'static str,
    variables: Vec<Variable>,
    rows: Vec<Row>,
}

impl Dashboard {
    fn build(self) -> Value {
        let mut panels = Vec::new();
        let (mut id, mut y) = (0, 0);
        let mut next_id = || {
            id += 1;
            id
        };
        for row in self.rows {
            panels.push(json!({
                "id": next_id(),
                "type": "row",
                "title": row.title,
                "collapsed": false,
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
                "panels": [],
            }));
            y += 1;
            let (mut x, mut height) = (0, 0);
            for panel in row.panels {
                if x + panel.width > COLUMNS {
                    (x, y) = (0, y + height);
                    height = 0;
                }
                let (width, own) = (panel.width, panel.kind.height());
                panels.push(panel.build(next_id(), (x, y)));
                x += width;
                height = height.max(own);
            }
            y += height;
        }
        let source = json!({
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {"text": "Prometheus", "value": "prometheus"},
            "hide": 0,
        });
        let mut variables = vec![source];
        variables.extend(self.variables.iter().map(Variable::build));
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["edalab"],
            "schemaVersion": 39,
            "editable": true,
            "graphTooltip": 1,
            "refresh": "5s",
            "time": {"from": "now-15m", "to": "now"},
            "timezone": "browser",
            "annotations": {"list": []},
            "links": [{
                "type": "dashboards", "title": "EDA-Lab", "tags": ["edalab"],
                "asDropdown": true, "includeVars": true, "keepTime": true, "targetBlank": false,
                "icon": "external link", "tooltip": "The lab's dashboards",
            }],
            "templating": {"list": variables},
            "panels": panels,
        })
    }
}

impl Variable {
    fn build(&self) -> Value {
        json!({
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": datasource(),
            "query": {"query": self.query, "refId": self.name},
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "allValue": ".+",
            "current": {"text": "All", "value": "$__all"},
            "hide": 0,
        })
    }
}

/// Chosen at the top of each dashboard, so that it works with any Prometheus.
fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// The quantile of a latency histogram.
fn quantile(quantile: &str, histogram: &str, by: &str, selector: &str) -> String {
    let comma = if by.is_empty() { "" } else { ", " };
    format!(
        "histogram_quantile({quantile}, sum by ({by}{comma}le) \
         (rate({histogram}_bucket{{{selector}}}[$__rate_interval])))"
    )
}

/// What a heatmap of a histogram is drawn from.
fn heat(histogram: &str, selector: &str) -> String {
    format!("sum by (le) (rate({histogram}_bucket{{{selector}}}[$__rate_interval]))")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The committed files are what is built here; `UPDATE=1` writes them.
    #[test]
    fn the_committed_dashboards_are_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/grafana/dashboards");
        for (name, dashboard) in dashboards() {
            let path = folder.join(name);
            let text = serde_json::to_string_pretty(&dashboard).unwrap() + "\n";
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == text,
                "{name} is not current; run UPDATE=1 cargo test -p xtask grafana"
            );
        }
    }

    #[test]
    fn every_panel_has_its_own_id_a_place_a_unit_and_a_description() {
        let mut uids = BTreeSet::new();
        for (name, dashboard) in dashboards() {
            assert!(uids.insert(dashboard["uid"].to_string()), "{name}");
            let mut ids = BTreeSet::new();
            let mut taken: Vec<[u64; 4]> = Vec::new();
            for panel in dashboard["panels"].as_array().unwrap() {
                let title = format!("{name}: {}", panel["title"]);
                assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
                let place = ["x", "y", "w", "h"].map(|k| panel["gridPos"][k].as_u64().unwrap());
                let [x, y, w, h] = place;
                assert!(x + w <= u64::from(COLUMNS), "{title}");
                let overlaps = |[x2, y2, w2, h2]: &[u64; 4]| {
                    x < x2 + w2 && *x2 < x + w && y < y2 + h2 && *y2 < y + h
                };
                assert!(!taken.iter().any(overlaps), "{title}");
                taken.push(place);
                if panel["type"] == "row" {
                    continue;
                }
                let defaults = &panel["fieldConfig"]["defaults"];
                assert!(!defaults["unit"].as_str().unwrap().is_empty(), "{title}");
                assert!(panel["description"].as_str().unwrap().len() > 10, "{title}");
                assert!(
                    !defaults["thresholds"]["steps"]
                        .as_array()
                        .unwrap()
                        .is_empty()
                );
                assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
                for target in panel["targets"].as_array().unwrap() {
                    assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
                    assert!(!target["expr"].as_str().unwrap().is_empty(), "{title}");
                }
            }
        }
    }
}
