//! The tables of `../../SCALE.md`, as they stand there.

use crate::course::{COURSES, Cost, Course};
use crate::world::Design;
use crate::{EVENTS_A_SECOND, HAND_OFFS, PROCESSES};

/// How many processes there are, and what that costs in each design.
type Costs = (usize, [Cost; 3]);

/// All of them, in their order.
pub(crate) fn tables() -> [String; 3] {
    let [one, .., cancels] = &COURSES;
    let (one, cancels) = (costs(one, &PROCESSES), costs(cancels, &PROCESSES[1..]));
    [sent(&one), sent(&cancels), most(&one[1..])]
}

fn costs(course: &Course, processes: &[usize]) -> Vec<Costs> {
    let cost = |number| Design::ALL.map(|design| course.run(design, number, HAND_OFFS));
    processes.iter().map(|&number| (number, cost(number))).collect()
}

/// What is sent for each hand-off.
fn sent(costs: &[Costs]) -> String {
    let head = Design::ALL.map(|design| format!("{}: events, bytes", design.name()));
    table(&head, costs, |cost| {
        let [events, bytes] = [cost.sent.events, cost.sent.bytes].map(|sent| cost.each(sent));
        format!("{}, {}", count(events), size(bytes))
    })
}

/// How many hand-offs a second that allows.
fn most(costs: &[Costs]) -> String {
    let [all, ends, baton] = Design::ALL.map(Design::name);
    let head = [format!("hand-offs a second, {all}"), ends.to_owned(), baton.to_owned()];
    table(&head, costs, |cost| count(EVENTS_A_SECOND / cost.each(cost.sent.events)))
}

fn table(head: &[String; 3], costs: &[Costs], cell: impl Fn(&Cost) -> String) -> String {
    let mut lines = vec![format!("| processes | {} |", head.join(" | "))];
    lines.push("|--:|--:|--:|--:|".to_owned());
    for (processes, costs) in costs {
        let cells = costs.each_ref().map(&cell).join(" | ");
        lines.push(format!("| {} | {cells} |", count(*processes as f64)));
    }
    lines.join("\n")
}

/// Large numbers are whole, and in groups from five digits on.
fn count(number: f64) -> String {
    if number < 10.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    match digits.len().checked_sub(3) {
        Some(at) if at > 1 => format!("{} {}", &digits[..at], &digits[at..]),
        _ => digits,
    }
}

/// With the first two digits at least.
fn size(bytes: f64) -> String {
    let scaled = |number: f64, unit| {
        if number < 10.0 { format!("{number:.1} {unit}") } else { format!("{number:.0} {unit}") }
    };
    match bytes {
        ..1e3 => format!("{bytes:.0}"),
        ..1e6 => scaled(bytes / 1e3, "k"),
        _ => scaled(bytes / 1e6, "M"),
    }
}
