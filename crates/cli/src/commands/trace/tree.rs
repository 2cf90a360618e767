//! A trace as a tree: a line for every span, children below the span that caused them.
//!
//! Spans that others name and that are not there stand where they belong, so that a trace with a hole shows
//! the hole. A trace may be a hundred thousand spans deep: nothing here calls itself, and of deep
//! indentation only the last levels are drawn.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use quorate_analysis::{Graph, Timeline};
use quorate_trace::SpanId;
use quorate_trace::wire::{Attributes, Span, StatusCode, Value};

use super::print::{Took, plain};

/// Levels of indentation that are drawn.
const LEVELS_MAX: usize = 24;
/// Nested arrays and maps of a value that are drawn.
const NESTING_MAX: usize = 4;
/// Columns before the tree.
const MARGIN: usize = 26;

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Lines at most; none is unlimited.
    pub(super) lines: Option<usize>,
    /// Whether attributes, events and links stand below each span.
    pub(super) details: bool,
}

#[derive(Clone, Copy)]
enum Node {
    Span(u32),
    Missing(SpanId),
}

/// A node that is still to be drawn.
struct Next {
    node: Node,
    depth: usize,
    is_last: bool,
}

/// Draws a trace; spans in `critical` are marked.
pub(super) fn draw(out: &mut String, spans: &[Span<'_>], critical: &HashSet<SpanId>, style: Style) {
    let graph = Graph::new(spans);
    let timeline = Timeline::new(&graph);
    let starts = timeline.adjusted.iter().map(|(start, _)| *start);
    let tree = Tree {
        begin: starts.filter(|start| *start > 0).min().unwrap_or(0),
        lost: lost(&graph),
        graph: &graph,
        timeline: &timeline,
        critical,
        style,
    };
    tree.draw(out);
}

/// Spans whose parent is not there, by that parent.
fn lost(graph: &Graph<'_, '_>) -> BTreeMap<SpanId, Vec<u32>> {
    let mut lost: BTreeMap<SpanId, Vec<u32>> = BTreeMap::new();
    for at in graph.orphans() {
        if let Some(parent) = graph.span(*at).parent {
            lost.entry(parent).or_default().push(*at);
        }
    }
    lost
}

struct Tree<'t, 's> {
    graph: &'t Graph<'t, 's>,
    timeline: &'t Timeline,
    critical: &'t HashSet<SpanId>,
    lost: BTreeMap<SpanId, Vec<u32>>,
    /// Where the trace begins.
    begin: u64,
    style: Style,
}

impl Tree<'_, '_> {
    fn draw(&self, out: &mut String) {
        let _ = writeln!(out, "{:>10} {:>10}", "AT", "TOOK");
        let mut stack: Vec<Next> = Vec::new();
        push(&mut stack, self.tops(), 0);
        // Whether the spans above have more children below this line.
        let mut bars: Vec<bool> = Vec::new();
        let mut drawn = 0_usize;
        while let Some(next) = stack.pop() {
            if self.style.lines.is_some_and(|most| drawn >= most) {
                let left = self.graph.topological_order().len().saturating_sub(drawn);
                let _ = writeln!(out, "{:MARGIN$}… {left} more spans", "");
                return;
            }
            drawn += 1;
            bars.truncate(next.depth);
            let lead = lead(&bars, next.depth, next.is_last);
            bars.push(!next.is_last);
            let children: Vec<Node> = match next.node {
                Node::Span(at) => {
                    self.span(out, at, &lead);
                    let children = self.graph.children(at);
                    if self.style.details {
                        let more = !children.is_empty();
                        self.details(out, at, &below(&bars, next.depth, more));
                    }
                    children.iter().copied().map(Node::Span).collect()
                }
                Node::Missing(id) => {
                    let _ = writeln!(out, "{:>10} {:>10}  ?  {lead}{id} is missing", "", "");
                    self.lost[&id].iter().copied().map(Node::Span).collect()
                }
            };
            push(&mut stack, children, next.depth + 1);
        }
    }

    /// Roots, spans that are missing, and spans at which a cycle was cut; by their begin.
    fn tops(&self) -> Vec<Node> {
        let start = |at: &u32| self.timeline.adjusted[*at as usize].0;
        let is_root = |at: &&u32| {
            let parent = self.graph.span(**at).parent;
            parent.is_none_or(|parent| !self.lost.contains_key(&parent))
        };
        let tops = self.graph.tops().iter().filter(is_root);
        let spans = tops.map(|at| (start(at), Node::Span(*at)));
        let missing = self.lost.iter().map(|(id, children)| {
            let first = children.iter().map(start).min();
            (first.unwrap_or(0), Node::Missing(*id))
        });
        let mut tops: Vec<(u64, Node)> = spans.chain(missing).collect();
        tops.sort_by_key(|(start, _)| *start);
        tops.into_iter().map(|(_, node)| node).collect()
    }

    fn span(&self, out: &mut String, at: u32, lead: &str) {
        let span = self.graph.span(at);
        let at = match self.timeline.adjusted[at as usize].0 {
            0 => "no time".to_owned(),
            start => Took(start - self.begin).to_string(),
        };
        let took = Took(span.duration());
        let critical = mark(self.critical.contains(&span.span_id), '*');
        let failed = mark(span.status == StatusCode::Error, '!');
        let (name, service) = (plain(span.name), plain(span.service));
        let _ = write!(
            out,
            "{at:>10} {took:>10} {critical}{failed}  {lead}{name}  ({service})"
        );
        if span.status == StatusCode::Error {
            let _ = match plain(span.status_message()) {
                message if message.is_empty() => write!(out, "  failed"),
                message => write!(out, "  failed: {message}"),
            };
        }
        out.push('\n');
    }

    fn details(&self, out: &mut String, at: u32, lead: &str) {
        let span = self.graph.span(at);
        let mut line = |text: std::fmt::Arguments<'_>| {
            let _ = writeln!(out, "{:MARGIN$}{lead}{text}", "");
        };
        line(format_args!("span {} {}", span.span_id, span.kind.name()));
        for (key, value) in span.attributes() {
            line(format_args!("{}: {}", plain(key), shown(&value)));
        }
        for event in span.events() {
            let time = Took(event.time.saturating_sub(span.start));
            let attributes = listed(event.attributes);
            line(format_args!("+{time} {}{attributes}", plain(event.name)));
        }
        for link in span.links() {
            let attributes = listed(link.attributes);
            line(format_args!(
                "linked to {} of trace {}{attributes}",
                link.span_id, link.trace_id
            ));
        }
    }
}

fn push(stack: &mut Vec<Next>, nodes: Vec<Node>, depth: usize) {
    let last = nodes.len().saturating_sub(1);
    for (at, node) in nodes.into_iter().enumerate().rev() {
        stack.push(Next {
            node,
            depth,
            is_last: at == last,
        });
    }
}

fn mark(holds: bool, mark: char) -> char {
    if holds { mark } else { ' ' }
}

/// The lines from the spans above to this one.
fn lead(bars: &[bool], depth: usize, is_last: bool) -> String {
    // Tops are not children of anything.
    let Some(levels) = depth.checked_sub(1) else {
        return String::new();
    };
    let elbow = if is_last { "└─ " } else { "├─ " };
    indentation(&bars[1..], levels) + elbow
}

/// The lines beside what stands below a span.
fn below(bars: &[bool], depth: usize, has_children: bool) -> String {
    let own = if has_children { "│  " } else { "   " };
    indentation(&bars[1..], depth) + own
}

fn indentation(bars: &[bool], levels: usize) -> String {
    let skipped = levels.saturating_sub(LEVELS_MAX);
    let mut text = match skipped {
        0 => String::new(),
        skipped => format!("(+{skipped}) "),
    };
    for bar in &bars[skipped..levels] {
        text += if *bar { "│  " } else { "   " };
    }
    text
}

fn listed(attributes: Attributes<'_>) -> String {
    let mut text = String::new();
    for (key, value) in attributes {
        let separator = if text.is_empty() { "  " } else { ", " };
        let _ = write!(text, "{separator}{}: {}", plain(key), shown(&value));
    }
    text
}

fn shown(value: &Value<'_>) -> String {
    let text = nested(value, NESTING_MAX);
    plain(&text).into_owned()
}

fn nested(value: &Value<'_>, levels: usize) -> String {
    let Some(levels) = levels.checked_sub(1) else {
        return "…".to_owned();
    };
    match value {
        Value::Empty => "none".to_owned(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Array(values) => {
            let parts: Vec<String> = values.clone().map(|value| nested(&value, levels)).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::Map(entries) => {
            let entry = |(key, value)| format!("{key}: {}", nested(&value, levels));
            let parts: Vec<String> = entries.clone().map(entry).collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => other.to_text().unwrap_or_default().into_owned(),
    }
}
