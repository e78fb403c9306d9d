//! Diagrams as SVG, in the page itself: no script, no fonts, nothing to load.

use std::fmt::Write as _;

use super::findings::{Plot, Scale, number};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 44.0;
/// Told apart by people who do not see all colours, too.
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];
/// Values on a logarithmic axis are at least this.
const SMALLEST: f64 = 1e-3;

/// Text for HTML and SVG.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// One axis: from values to places between 0 and 1.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// A vertical axis is linear from zero on, whatever the values; a horizontal one when they begin
    /// near it.
    fn new(scale: Scale, values: impl Iterator<Item = f64> + Clone, vertical: bool) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let low = finite.clone().fold(f64::INFINITY, f64::min);
        let high = finite.fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        match scale {
            Scale::Linear => {
                let from_zero = vertical || (low > 0.0 && low < high / 10.0);
                let low = if from_zero { low.min(0.0) } else { low };
                let step = step((high - low) / 5.0);
                // It ends at a round number, so that lines have room.
                let to = match vertical {
                    true => (high / step).ceil().max(1.0) * step,
                    false => high.max(low + step),
                };
                let first = (low / step).ceil() as i64;
                let last = (to / step + 1e-9).floor() as i64;
                let ticks = (first..=last).map(|n| n as f64 * step).collect();
                Self {
                    scale,
                    from: low,
                    to,
                    ticks,
                }
            }
            Scale::Log => {
                let first = low.max(SMALLEST).log10().floor() as i32;
                let last = (high.max(SMALLEST).log10().ceil() as i32).max(first + 1);
                Self {
                    scale,
                    from: f64::from(first),
                    to: f64::from(last),
                    ticks: (first..=last).map(|n| 10_f64.powi(n)).collect(),
                }
            }
            Scale::Tail => {
                let to = tail(high).ceil().max(1.0);
                let ticks = [0.0, 0.5].into_iter();
                let nines = (1..=to as i32).map(|n| 1.0 - 10_f64.powi(-n));
                Self {
                    scale,
                    from: 0.0,
                    to,
                    ticks: ticks.chain(nines).collect(),
                }
            }
        }
    }

    fn place(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(SMALLEST).log10(),
            Scale::Tail => tail(value),
        };
        (value - self.from) / (self.to - self.from)
    }

    fn label(&self, value: f64) -> String {
        match self.scale {
            Scale::Tail => format!("{} %", {
                let text = format!("{:.6}", value * 100.0);
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }),
            Scale::Linear if value == 0.0 => "0".into(),
            _ => number(value),
        }
    }
}

/// Quantile to nines: 0.9 is 1, 0.99 is 2.
fn tail(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

/// 1, 2 or 5 times a power of ten, at least that.
fn step(rough: f64) -> f64 {
    let rough = if rough > 0.0 { rough } else { 0.2 };
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough * 0.999);
    factor.unwrap_or(10.0) * power
}

/// The diagram and its legend.
pub fn plot(plot: &Plot) -> String {
    let points = || {
        plot.lines
            .iter()
            .flat_map(|line| line.points.iter().copied())
    };
    let x = Axis::new(plot.x_scale, points().map(|(x, _)| x), false);
    let y = Axis::new(plot.y_scale, points().map(|(_, y)| y), true);
    let at_x = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
    let at_y = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
    let mut out = format!(
        "<figure><figcaption>{}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escape(&plot.title),
        escape(&plot.title)
    );
    // Writing to a String cannot fail.
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = out.write_fmt(text);
        out.push('\n');
    };
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in &y.ticks {
        let (at, label) = (at_y(*tick), y.label(*tick));
        line(format_args!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            at + 4.0
        ));
    }
    for tick in &x.ticks {
        let (at, label) = (at_x(*tick), x.label(*tick));
        line(format_args!(
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 16.0
        ));
    }
    line(format_args!(
        "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 6.0,
        escape(&plot.x)
    ));
    let middle = f64::midpoint(TOP, bottom);
    line(format_args!(
        "<text class=\"axis\" transform=\"translate(14 {middle:.1}) rotate(-90)\" \
         text-anchor=\"middle\">{}</text>",
        escape(&plot.y)
    ));
    for (i, series) in plot.lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let path: Vec<String> = series
            .points
            .iter()
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y)))
            .collect();
        if path.len() == 1 {
            let (cx, cy) = path[0].split_once(',').unwrap_or_default();
            line(format_args!(
                "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"3\" fill=\"{colour}\"/>"
            ));
        } else {
            line(format_args!(
                "<polyline points=\"{}\" stroke=\"{colour}\"/>",
                path.join(" ")
            ));
        }
    }
    out.push_str("</svg>\n<p class=\"legend\">");
    for (i, series) in plot.lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let name = escape(&series.name);
        let _ = write!(
            out,
            "<span><i style=\"background:{colour}\"></i>{name}</span>"
        );
    }
    out.push_str("</p></figure>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf::findings::Line;

    fn diagram(points: Vec<(f64, f64)>, x_scale: Scale, y_scale: Scale) -> String {
        plot(&Plot {
            title: "a < b".into(),
            x: "x".into(),
            y: "y".into(),
            x_scale,
            y_scale,
            lines: vec![Line {
                name: "one".into(),
                points,
            }],
        })
    }

    #[test]
    fn steps_are_round() {
        assert_eq!(step(0.9), 1.0);
        assert_eq!(step(1.3), 2.0);
        assert_eq!(step(40.0), 50.0);
        assert_eq!(step(0.0), 0.2);
    }

    #[test]
    fn points_lie_within_the_diagram() {
        for scale in [Scale::Linear, Scale::Log] {
            let svg = diagram(
                vec![(0.0, 0.0), (5.0, 12.0), (10.0, 3.0)],
                Scale::Linear,
                scale,
            );
            let path = svg.split("points=\"").nth(1).unwrap();
            let path = path.split('"').next().unwrap();
            for point in path.split(' ') {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!(
                    (LEFT..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y),
                    "{point}"
                );
            }
            assert!(svg.contains("a &lt; b"));
        }
    }

    #[test]
    fn nines_are_equally_far_apart() {
        let svg = diagram(vec![(0.0, 1.0), (0.999, 9.0)], Scale::Tail, Scale::Linear);
        for label in ["50 %", "90 %", "99 %", "99.9 %"] {
            assert!(svg.contains(&format!(">{label}<")), "{label}: {svg}");
        }
    }

    #[test]
    fn nothing_to_show_is_shown() {
        assert!(diagram(vec![], Scale::Linear, Scale::Log).contains("<svg"));
        assert!(diagram(vec![(1.0, f64::NAN)], Scale::Linear, Scale::Linear).contains("<svg"));
        assert!(diagram(vec![(1.0, 1.0)], Scale::Linear, Scale::Linear).contains("<circle"));
    }
}
