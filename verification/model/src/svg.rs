//! Sequence diagrams of traces: one self-contained SVG file, readable without any viewer's help.
//!
//! Every step is a row. Its text stands at the left, so that no label ever lies across an arrow; at
//! the right each node has a lane, and a message is an arrow from the step that sent it to the step
//! that delivered it. Long texts are cut, and in full in the tooltip.

use crate::trace::{Effect, Trace, TraceStep, What};
use crate::xml::escape;
use std::fmt::Write;

const TEXT_WIDTH: usize = 560;
const LANE_WIDTH: usize = 130;
const HEADER_HEIGHT: usize = 64;
const ROW_HEIGHT: usize = 26;
const EFFECT_HEIGHT: usize = 15;
const TEXT_CHARACTERS_MAX: usize = 78;
const EFFECTS_SHOWN_MAX: usize = 8;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1a1a1a}\
.effect{font-size:11px;fill:#555}\
.lane{stroke:#bbb;stroke-width:1}\
.down{stroke:#c62828;stroke-width:2;stroke-dasharray:2 5}\
.name{font-weight:bold;text-anchor:middle}\
.tag{font-size:11px;text-anchor:middle;fill:#333;paint-order:stroke;stroke:#fff;stroke-width:3px}\
.arrow{stroke:#1565c0;stroke-width:1.5;fill:none;marker-end:url(#head)}\
.copy{stroke-dasharray:6 3}\
.lost{stroke:#999;stroke-width:1.5;stroke-dasharray:3 3;fill:none}\
.client{stroke:#2e7d32;marker-end:url(#client)}\
.dot{fill:#1a1a1a}\
.cross{stroke:#c62828;stroke-width:3;fill:none}\
.disk{fill:#fff8e1;stroke:#6d4c00;stroke-width:1.3}\
.timer{fill:#fff;stroke:#6a1b9a;stroke-width:1.5}\
.up{fill:#2e7d32}\
.stripe{fill:#f6f7f9}\
.cycle{fill:#fff3e0}\
.back{stroke:#e65100;stroke-width:2;fill:none;marker-end:url(#back)}\
.again{fill:#e65100;font-weight:bold}";

impl Trace {
    /// The trace as a sequence diagram.
    pub fn to_svg(&self) -> String {
        Diagram::new(self).draw()
    }
}

struct Diagram<'a> {
    trace: &'a Trace,
    /// The middle of each step's row; the first is where the nodes start.
    rows: Vec<usize>,
    height: usize,
    /// Where the steps end.
    footer: usize,
    out: String,
}

/// Writes to the diagram. Writing to a string cannot fail.
macro_rules! draw {
    ($diagram:expr, $($format:tt)*) => {
        let _ = writeln!($diagram.out, $($format)*);
    };
}

impl<'a> Diagram<'a> {
    fn new(trace: &'a Trace) -> Self {
        let mut rows = vec![HEADER_HEIGHT - 10];
        let mut y = HEADER_HEIGHT;
        for step in &trace.steps {
            rows.push(y + ROW_HEIGHT / 2);
            y += row_height(step);
        }
        Diagram {
            trace,
            rows,
            height: y + 20,
            footer: y,
            out: String::new(),
        }
        .with_footer()
    }

    /// Makes room for what is said of a cycle below the steps.
    fn with_footer(mut self) -> Self {
        if let Some(cycle) = &self.trace.cycle {
            self.height += ROW_HEIGHT + EFFECT_HEIGHT * (cycle.fairness.len() + 1);
        }
        self
    }

    fn draw(mut self) -> String {
        let width = TEXT_WIDTH + (self.trace.nodes.len() + 1) * LANE_WIDTH;
        let height = self.height;
        draw!(
            self,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
             <style>{STYLE}</style>\n\
             <defs>{}{}{}</defs>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>",
            arrow_head("head", "#1565c0"),
            arrow_head("client", "#2e7d32"),
            arrow_head("back", "#e65100"),
        );
        self.stripes(width);
        self.cycle(width);
        self.lanes();
        self.crashed_lanes();
        for number in 1..=self.trace.steps.len() {
            self.arrow(number);
            self.answers(number);
        }
        for number in 1..=self.trace.steps.len() {
            self.step(number);
        }
        self.out.push_str("</svg>\n");
        self.out
    }

    fn stripes(&mut self, width: usize) {
        for (index, step) in self.trace.steps.iter().enumerate().step_by(2) {
            let y = self.rows[index + 1] - ROW_HEIGHT / 2;
            let height = row_height(step);
            draw!(
                self,
                "<rect class=\"stripe\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
            );
        }
    }

    fn lanes(&mut self) {
        let names = std::iter::once("clients").chain(self.trace.nodes.iter().map(String::as_str));
        let bottom = self.footer + 10;
        for (lane, name) in names.enumerate() {
            let x = lane_x(lane);
            draw!(
                self,
                "<text class=\"name\" x=\"{x}\" y=\"30\">{}</text>\
                 <line class=\"lane\" x1=\"{x}\" y1=\"40\" x2=\"{x}\" y2=\"{bottom}\"/>",
                escape(name)
            );
        }
    }

    /// Marks the steps that are taken again and again, with an arrow back from the last to the first of
    /// them, and says below why that is fair.
    fn cycle(&mut self, width: usize) {
        let Some(cycle) = &self.trace.cycle else {
            return;
        };
        let steps = self.trace.steps.len();
        if cycle.after < steps {
            let top = self.rows[cycle.after + 1] - ROW_HEIGHT / 2;
            let (height, middle) = (self.footer - top, top + ROW_HEIGHT / 2);
            let end = self.rows[steps];
            draw!(
                self,
                "<rect class=\"cycle\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>\
                 <path class=\"back\" d=\"M14 {end}H6V{middle}H16\"><title>again and again</title></path>"
            );
        }
        let y = self.footer + ROW_HEIGHT;
        self.text(18, y, "again", &cycle.closing(steps));
        for (line, argument) in (1..).zip(&cycle.fairness) {
            self.text(44, y + EFFECT_HEIGHT * line, "effect", argument);
        }
    }

    /// Marks each lane from a crash to the recovery.
    fn crashed_lanes(&mut self) {
        for (index, step) in self.trace.steps.iter().enumerate() {
            if !matches!(step.what, What::Crash { .. }) {
                continue;
            }
            let later = self.trace.steps.iter().enumerate().skip(index);
            let recovery = later
                .into_iter()
                .find(|(_, s)| s.node == step.node && s.what == What::Recover);
            let end = recovery.map_or(self.footer + 10, |(later, _)| self.rows[later + 1]);
            let (x, start) = (self.node_x(&step.node), self.rows[index + 1]);
            draw!(
                self,
                "<line class=\"down\" x1=\"{x}\" y1=\"{start}\" x2=\"{x}\" y2=\"{end}\"/>"
            );
        }
    }

    fn arrow(&mut self, number: usize) {
        let step = &self.trace.steps[number - 1];
        let (to_x, to_y) = (self.node_x(&step.node), self.rows[number]);
        let (class, from_x, from_y, text) = match &step.what {
            What::Request { label, .. } => ("arrow client", lane_x(0), to_y, label),
            What::Deliver {
                from,
                message,
                sent_in,
                stays,
            } => {
                let class = if *stays { "arrow copy" } else { "arrow" };
                (class, self.node_x(from), self.rows[*sent_in], message)
            }
            What::Lose {
                from,
                message,
                sent_in,
            } => ("lost", self.node_x(from), self.rows[*sent_in], message),
            _ => return,
        };
        self.line(class, (from_x, from_y), (to_x, to_y), text);
    }

    /// What the node tells the application: an arrow to the clients, beside the effect's text.
    fn answers(&mut self, number: usize) {
        let step = &self.trace.steps[number - 1];
        let (x, row) = (self.node_x(&step.node), self.rows[number]);
        for (index, effect) in step.effects.iter().take(EFFECTS_SHOWN_MAX).enumerate() {
            if let Effect::Told(output) = effect {
                let y = row + EFFECT_HEIGHT * (index + 1);
                self.line("arrow client", (x, y), (lane_x(0), y), output);
            }
        }
    }

    fn line(&mut self, class: &str, from: (usize, usize), to: (usize, usize), text: &str) {
        let ((from_x, from_y), (to_x, to_y)) = (from, to);
        let title = escape(text);
        draw!(
            self,
            "<path class=\"{class}\" d=\"M{from_x} {from_y}L{to_x} {to_y}\"><title>{title}</title></path>"
        );
        // Near the head, where arrows that start together have parted.
        let (x, y) = ((from_x + 3 * to_x) / 4, (from_y + 3 * to_y) / 4);
        let tag = escape(first_word(text));
        draw!(
            self,
            "<text class=\"tag\" x=\"{x}\" y=\"{}\">{tag}<title>{title}</title></text>",
            y.saturating_sub(4)
        );
    }

    fn step(&mut self, number: usize) {
        let step = &self.trace.steps[number - 1];
        let y = self.rows[number];
        self.text(18, y + 4, "", &format!("{number}. {}", step.headline()));
        for (index, effect) in step.effects.iter().take(EFFECTS_SHOWN_MAX).enumerate() {
            let y = y + 4 + EFFECT_HEIGHT * (index + 1);
            self.text(44, y, "effect", &effect.to_string());
        }
        if step.effects.len() > EFFECTS_SHOWN_MAX {
            let rest: Vec<_> = step.effects[EFFECTS_SHOWN_MAX..]
                .iter()
                .map(Effect::to_string)
                .collect();
            let y = y + 4 + EFFECT_HEIGHT * (EFFECTS_SHOWN_MAX + 1);
            draw!(
                self,
                "<text class=\"effect\" x=\"44\" y=\"{y}\">and {} more<title>{}</title></text>",
                rest.len(),
                escape(&rest.join("\n"))
            );
        }
        self.symbol(step, y);
    }

    fn text(&mut self, x: usize, y: usize, class: &str, text: &str) {
        let shown = shorten(text);
        draw!(
            self,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}<title>{}</title></text>",
            escape(&shown),
            escape(text)
        );
    }

    /// What happened, at the node's lane.
    fn symbol(&mut self, step: &TraceStep, y: usize) {
        let x = self.node_x(&step.node);
        let title = escape(&format!("{}\n{}", step.headline(), step.effects_text())).into_owned();
        let shape = match step.what {
            What::Request { .. } | What::Deliver { .. } => {
                format!("<circle class=\"dot\" cx=\"{x}\" cy=\"{y}\" r=\"3\"/>")
            }
            What::Lose { .. } => cross(x, y, 4),
            What::Crash { .. } => cross(x, y, 8),
            What::Timeout { .. } => format!(
                "<circle class=\"timer\" cx=\"{x}\" cy=\"{y}\" r=\"7\"/>\
                 <path class=\"timer\" d=\"M{x} {}V{y}h4\"/>",
                y - 5
            ),
            What::Sync => disk(x, y),
            What::Recover => format!(
                "<path class=\"up\" d=\"M{} {}l8 -12l8 12z\"/>",
                x - 8,
                y + 6
            ),
        };
        draw!(self, "<g>{shape}<title>{title}</title></g>");
        let failed = |effect: &Effect| matches!(effect, Effect::Failed(_));
        if step.effects.iter().any(failed) {
            draw!(self, "{}", cross(x, y, 8));
        }
    }

    fn node_x(&self, node: &str) -> usize {
        let index = self.trace.nodes.iter().position(|name| name == node);
        lane_x(index.map_or(0, |index| index + 1))
    }
}

fn arrow_head(id: &str, color: &str) -> String {
    format!(
        "<marker id=\"{id}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" fill=\"{color}\"/></marker>"
    )
}

fn lane_x(lane: usize) -> usize {
    TEXT_WIDTH + lane * LANE_WIDTH + LANE_WIDTH / 2
}

fn row_height(step: &TraceStep) -> usize {
    let lines = step.effects.len().min(EFFECTS_SHOWN_MAX + 1);
    ROW_HEIGHT + EFFECT_HEIGHT * lines
}

fn cross(x: usize, y: usize, size: usize) -> String {
    let (left, right, top, bottom) = (x - size, x + size, y - size, y + size);
    format!(
        "<path class=\"cross\" d=\"M{left} {top}L{right} {bottom}M{right} {top}L{left} {bottom}\"/>"
    )
}

/// A cylinder.
fn disk(x: usize, y: usize) -> String {
    let (left, right, top, bottom) = (x - 8, x + 8, y - 6, y + 6);
    format!(
        "<path class=\"disk\" d=\"M{left} {top}V{bottom}A8 3 0 0 0 {right} {bottom}V{top}\"/>\
         <ellipse class=\"disk\" cx=\"{x}\" cy=\"{top}\" rx=\"8\" ry=\"3\"/>"
    )
}

/// The name of a message or command: its debug text up to the first punctuation.
fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    match end {
        Some(0) | None => text.get(..16).unwrap_or(text),
        Some(end) => &text[..end],
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= TEXT_CHARACTERS_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(TEXT_CHARACTERS_MAX - 1).collect();
    format!("{kept}…")
}
