//! The counts, that nobody is forgotten, and that the page has the numbers of the program.

use crate::course::{COURSES, Course};
use crate::store::Sent;
use crate::tables::tables;
use crate::world::{Design, World};

/// With one permit and nobody who gives up, from the protocol itself.
#[test]
fn the_counts_of_small_cases() {
    let course = &COURSES[0];
    for processes in [2, 3, 10] {
        let cost = |design| course.run(design, processes, 20);
        let each = |design| {
            let cost = cost(design);
            let Sent { writes, reads, events, .. } = cost.sent;
            [writes, reads, events].map(|count| count / cost.hand_offs)
        };
        let all = processes as u64;
        // A put and a deletion, and each goes to each process.
        assert_eq!(each(Design::All), [2, 0, 2 * all]);
        // Each deletion goes to each process, and whoever asks reads what is in front.
        assert_eq!(each(Design::Ends), [2, 1, all]);
        // The deletion goes to the next, who looks whether it is the first; who asks looks for the one in front.
        assert_eq!(each(Design::Baton), [2, 2, 1]);
    }
}

#[test]
fn a_baton_costs_the_same_with_any_number_of_processes() {
    for course in &COURSES[..3] {
        let few = course.run(Design::Baton, 30, 300);
        let many = course.run(Design::Baton, 300, 300);
        let [few, many] = [few, many].map(|cost| cost.each(cost.sent.events));
        assert!((few - many).abs() < 0.2, "{}: {few}, {many}", course.name);
        assert!(many < 3.0, "{}: {many}", course.name);
    }
}

/// Several permits: the mark goes to the next, and each deletion to the first waiter.
#[test]
fn the_counts_with_several_permits() {
    let course = Course { name: "", limit: 2, heaviest: 1, cancels: 0 };
    let cost = course.run(Design::Baton, 5, 20);
    let Sent { writes, events, .. } = cost.sent;
    assert_eq!([writes, events].map(|count| count / cost.hand_offs), [3, 2]);
    // A cancel in the middle goes to the first waiter, and to the one behind.
    let mut world = World::new(Design::Baton, 5, 2);
    for process in 0..5 {
        world.ask(process, 1);
        world.settle();
    }
    let before = world.sent().events;
    world.leave(3);
    world.settle();
    assert_eq!(world.sent().events - before, 2);
}

/// Events arrive late and in any order among processes; waiters give up, and processes crash. Each grant is checked
/// by the world. Here: all who did not give up are granted, in the order in which they asked.
#[test]
fn nobody_is_forgotten() {
    for design in Design::ALL {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (processes, limit) = (random.usize(1..12), random.u64(1..5));
            let mut world = World::new(design, processes, limit);
            // Who waits, in the order of asking.
            let mut line: Vec<usize> = Vec::new();
            let mut seen = 0;
            for step in 0..2000 {
                let process = random.usize(..processes);
                // At the end nobody asks any more, and whoever holds releases.
                let is_end = step > 1500;
                match random.u8(..10) {
                    0..2 if world.is_idle(process) && !is_end => {
                        line.push(process);
                        world.ask(process, random.u64(1..=limit));
                    }
                    2..4 if world.is_holding(process) => world.leave(process),
                    4 if world.is_waiting(process) && !is_end => {
                        line.retain(|&waiter| waiter != process);
                        world.leave(process);
                    }
                    _ => drop(world.deliver(process)),
                }
                while let Some(&granted) = world.grants.get(seen) {
                    seen += 1;
                    let place = line.iter().position(|&waiter| waiter == granted);
                    let place =
                        place.unwrap_or_else(|| panic!("seed {seed}: {granted} of {line:?}"));
                    // Those in front were granted before, in etcd's order; they may not have looked yet.
                    assert!(
                        line[..place].iter().all(|&waiter| world.has_mail(waiter)),
                        "{design:?}, seed {seed}: {granted} passed {line:?}"
                    );
                    line.remove(place);
                }
            }
            while (0..processes).any(|process| !world.is_idle(process)) {
                world.settle();
                let holder = (0..processes).find(|&process| world.is_holding(process));
                let holder = holder.unwrap_or_else(|| panic!("{design:?}, seed {seed}: forgotten"));
                world.leave(holder);
            }
        }
    }
}

#[test]
fn the_page_has_these_tables_and_no_others() {
    let page = include_str!("../../SCALE.md").lines().filter(|line| line.starts_with('|'));
    let tables = tables().join("\n");
    let (page, tables): (Vec<_>, Vec<_>) = (page.collect(), tables.lines().collect());
    assert_eq!(page, tables, "the example prints them");
}
