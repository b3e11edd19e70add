//! The timeline as an SVG file.

use std::time::Duration;

use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Text, Title};

use super::axis;
use super::day::{Day, Visit};

/// More rows than this are an excerpt: they would be too thin to be told apart.
const ROWS: usize = 250;
/// A row is this high, unless there are so many that the plot would be higher than `PLOT_HEIGHT`.
const ROW_HEIGHT: f64 = 24.0;
const PLOT_HEIGHT: f64 = 1000.0;
/// More labels than this would touch each other.
const LABELS: u64 = 40;
const PLOT_WIDTH: f64 = 820.0;
// The room around the plot.
const LEFT: f64 = 90.0;
const TOP: f64 = 112.0;
const RIGHT: f64 = 40.0;
const BOTTOM: f64 = 64.0;

const INK: &str = "#1f2933";
const FAINT: &str = "#e1e5ea";
// Amber, blue and red stay apart for the colour-blind, and in grey.
const WAITING: &str = "#f2c14e";
const SERVED: &str = "#22639c";
const LEFT_UNSERVED: &str = "#c22f2f";

/// Draws title, legend, axes, and a row per customer.
pub(crate) fn draw(day: &Day) -> Document {
    let plot = Plot::new(day);
    let (width, height) = (LEFT + PLOT_WIDTH + RIGHT, TOP + plot.height + BOTTOM);
    let mut document = Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .set("font-family", "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif")
        .set("font-size", 14)
        .set("fill", INK)
        // A thin row that is smoothed over two lines of pixels is pale.
        .set("shape-rendering", "crispEdges")
        .add(Title::new("Customers of a bank, waiting and being served"))
        // A background of its own, so that it can be read on a dark page.
        .add(rectangle(0.0, 0.0, width, height, "white"))
        .add(heading(day, &plot))
        .add(legend(day))
        .add(plot.time_axis())
        .add(plot.customer_axis());
    for (number, visit) in plot.visits.iter().enumerate() {
        document = document.add(plot.row(number, visit));
    }
    document
}

fn heading(day: &Day, plot: &Plot<'_>) -> Group {
    let mut facts = vec![format!("at most {} served at once", day.most_at_once())];
    if let Some(mean) = day.mean_wait() {
        let longest = day.longest_wait();
        facts.push(format!("waited {mean:.2?} on average, {longest:.2?} at most"));
    }
    facts.push(format!("seed {}", day.seed));
    let mut title = format!("Tellers: {}, customers: {}", day.tellers(), day.visits.len());
    if plot.visits.len() < day.visits.len() {
        title += &format!(" ({} of them shown)", plot.visits.len());
    }
    Group::new()
        .add(text(LEFT, 32.0, "start", &title).set("font-size", 20).set("font-weight", "bold"))
        .add(text(LEFT, 56.0, "start", &facts.join(" · ")))
}

fn legend(day: &Day) -> Group {
    let entries =
        [(WAITING, "waiting"), (SERVED, "being served"), (LEFT_UNSERVED, "left unserved")];
    let shown = if day.left == 0 { 2 } else { 3 };
    let mut group = Group::new();
    for ((color, meaning), x) in entries.into_iter().zip([0.0, 110.0, 250.0]).take(shown) {
        group = group.add(rectangle(LEFT + x, 76.0, 14.0, 14.0, color)).add(text(
            LEFT + x + 21.0,
            88.0,
            "start",
            meaning,
        ));
    }
    group
}

/// Where things are: time from left to right, customers from top to bottom.
struct Plot<'a> {
    visits: Vec<&'a Visit>,
    customers: f64,
    length: Duration,
    height: f64,
}

impl<'a> Plot<'a> {
    fn new(day: &'a Day) -> Self {
        let customers = day.visits.len().max(1) as f64;
        Self {
            visits: day.excerpt(ROWS),
            customers,
            length: day.now.max(Duration::from_nanos(1)),
            height: (customers * ROW_HEIGHT).min(PLOT_HEIGHT),
        }
    }

    fn x(&self, time: Duration) -> f64 {
        rounded(LEFT + PLOT_WIDTH * time.div_duration_f64(self.length))
    }

    /// The top of a customer's row.
    fn y(&self, customer: u32) -> f64 {
        rounded(TOP + self.height * f64::from(customer - 1) / self.customers)
    }

    fn row(&self, number: usize, visit: &Visit) -> Group {
        let space = self.height / self.visits.len() as f64;
        // Thin rows have no gap: they are read as one shape.
        let height = if space < 6.0 { space } else { space - 4.0 };
        let y = TOP + space * number as f64 + (space - height) / 2.0;
        let [came, called, gone] =
            [visit.came, visit.waited_until(self.length), visit.gone(self.length)]
                .map(|moment| self.x(moment));

        let Visit { customer, .. } = visit;
        let waited = format!("Customer {customer}: waited {:.3?}", visit.waited(self.length));
        let (tip, width, color) = match visit.service() {
            Some(service) => (format!("{waited}, service of {service:.3?}"), gone - called, SERVED),
            None => (format!("{waited}, left unserved"), 4.0_f64.max(gone - called), LEFT_UNSERVED),
        };
        Group::new()
            .add(Title::new(tip))
            .add(rectangle(came, y, called - came, height, WAITING))
            .add(rectangle(called, y, width, height, color))
    }

    fn time_axis(&self) -> Group {
        let bottom = TOP + self.height;
        let mut group = Group::new();
        for tick in axis::ticks(self.length, 10) {
            let x = self.x(tick);
            group = group.add(line((x, TOP), (x, bottom), FAINT)).add(text(
                x,
                bottom + 20.0,
                "middle",
                &axis::label(tick),
            ));
        }
        let middle = LEFT + PLOT_WIDTH / 2.0;
        group.add(line((LEFT, bottom), (LEFT + PLOT_WIDTH, bottom), INK)).add(text(
            middle,
            bottom + 46.0,
            "middle",
            "time since the bank opened",
        ))
    }

    /// Labels every customer, or round numbers of them where the rows are too thin for each.
    fn customer_axis(&self) -> Group {
        let (bottom, middle) = (TOP + self.height, TOP + self.height / 2.0);
        let count = self.visits.last().map_or(0, |visit| visit.customer);
        let step = axis::round_step(count.into(), LABELS);
        let row = self.height / self.customers;
        let mut group = Group::new();
        for customer in (1..=count).filter(|customer| u64::from(*customer) % step == 0) {
            let baseline = rounded(self.y(customer) + row / 2.0 + 5.0);
            group = group.add(text(LEFT - 10.0, baseline, "end", &customer.to_string()));
        }
        let turn = format!("rotate(-90 24 {middle})");
        group
            .add(line((LEFT, TOP), (LEFT, bottom), INK))
            .add(text(24.0, middle, "middle", "customer").set("transform", turn))
    }
}

fn rectangle(x: f64, y: f64, width: f64, height: f64, color: &str) -> Rectangle {
    Rectangle::new()
        .set("x", x)
        .set("y", rounded(y))
        .set("width", rounded(width))
        .set("height", rounded(height))
        .set("fill", color)
}

fn line((x1, y1): (f64, f64), (x2, y2): (f64, f64), color: &str) -> Line {
    Line::new().set("x1", x1).set("y1", y1).set("x2", x2).set("y2", y2).set("stroke", color)
}

fn text(x: f64, y: f64, anchor: &str, content: &str) -> Text {
    Text::new(content).set("x", x).set("y", y).set("text-anchor", anchor)
}

/// Hundredths of a pixel are enough, and keep the file small.
fn rounded(pixels: f64) -> f64 {
    (pixels * 100.0).round() / 100.0
}
