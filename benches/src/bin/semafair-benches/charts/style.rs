//! What all charts share: colours, marks, letters, and the frame around them.

use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use semafair_benches::{
    AsyncLock, AsyncWeighted, Asyncband, FuturesIntrusive, Maitake, Saa, Semafair, Semaphore, Tokio,
};

use super::Result;
use crate::machine;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) const LETTERS: (&str, u32) = ("sans-serif", 14);
const SMALL: (&str, u32) = ("sans-serif", 12);
const TITLE: (&str, u32) = ("sans-serif", 20);

pub(super) const GREY: RGBColor = RGBColor(110, 110, 110);
pub(super) const PALE: RGBColor = RGBColor(225, 225, 225);

/// The colour of a semaphore, the same in all charts: those of Okabe and Ito, which colour-blind
/// people tell apart. Ours is black; what is no semaphore is grey.
pub(super) fn colour(name: &str) -> RGBColor {
    match name {
        Semafair::NAME => BLACK,
        Tokio::NAME => RGBColor(213, 94, 0),
        FuturesIntrusive::NAME => RGBColor(0, 114, 178),
        Maitake::NAME => RGBColor(204, 121, 167),
        AsyncWeighted::NAME => RGBColor(86, 180, 233),
        Asyncband::NAME => RGBColor(0, 158, 115),
        AsyncLock::NAME => RGBColor(230, 159, 0),
        Saa::NAME => RGBColor(150, 130, 20),
        _ => RGBColor(150, 150, 150),
    }
}

/// The corners of a semaphore's mark, around the point that it stands for: the charts can also be
/// read without colours.
pub(super) fn mark(name: &str) -> Vec<(i32, i32)> {
    match name {
        Semafair::NAME => {
            vec![(-3, -7), (3, -7), (7, -3), (7, 3), (3, 7), (-3, 7), (-7, 3), (-7, -3)]
        }
        FuturesIntrusive::NAME => vec![(-5, -5), (5, -5), (5, 5), (-5, 5)],
        Maitake::NAME => vec![(0, -7), (7, 0), (0, 7), (-7, 0)],
        AsyncWeighted::NAME => vec![(0, -6), (6, 5), (-6, 5)],
        Asyncband::NAME => vec![(0, 6), (6, -5), (-6, -5)],
        _ => vec![(-3, -3), (3, -3), (3, 3), (-3, 3)],
    }
}

/// Letters, and which side of them is where they are put.
pub(super) fn text(colour: RGBColor, side: HPos) -> TextStyle<'static> {
    LETTERS.into_font().color(&colour).pos(Pos::new(side, VPos::Center))
}

/// Draws a chart under its title and what explains it, and over where and when it was measured; then
/// writes the file.
pub(super) fn framed(
    file: &Path,
    size: (u32, u32),
    title: &str,
    about: &[String],
    chart: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<()> {
    let mut svg = String::new();
    {
        let whole = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        whole.fill(&WHITE)?;
        let head = 44 + 18 * u32::try_from(about.len())?;
        let (head, rest) = whole.split_vertically(head);
        let (middle, foot) = rest.split_vertically(size.1 - head.dim_in_pixel().1 - 28);
        head.draw_text(title, &TITLE.into_font().color(&BLACK), (16, 12))?;
        for (y, line) in (40..).step_by(18).zip(about) {
            head.draw_text(line, &LETTERS.into_font().color(&GREY), (16, y))?;
        }
        let place = format!("{}, {}", machine::processor(), machine::date());
        foot.draw_text(&place, &SMALL.into_font().color(&GREY), (16, 6))?;
        chart(&middle)?;
        whole.present()?;
    }
    Ok(fs::write(file, svg)?)
}

/// 1, 2 and 5 times every power of ten between these two.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = (-3..=9).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
    powers.filter(|tick| (low..=high).contains(tick)).collect()
}

/// A number as it stands at a tick: groups of three digits, as few decimals as it needs.
pub(super) fn number(value: f64) -> String {
    let digits = format!("{value:.3}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(w, p)| (w, Some(p)));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        // A space that no line is broken at.
        if i > 0 && (whole.len() - i) % 3 == 0 && whole.len() > 4 {
            grouped.push('\u{a0}');
        }
        grouped.push(digit);
    }
    part.map_or(grouped.clone(), |part| format!("{grouped}.{part}"))
}

/// Moves labels apart that would overlap, as little as possible and not beyond the edges; their
/// order stays.
pub(super) fn apart(wanted: &[i32], gap: i32, (top, bottom): (i32, i32)) -> Vec<i32> {
    let mut order: Vec<_> = (0..wanted.len()).collect();
    order.sort_by_key(|&i| wanted[i]);
    let mut placed = wanted.to_vec();
    let mut least = top;
    for &i in &order {
        placed[i] = placed[i].max(least);
        least = placed[i] + gap;
    }
    let mut most = bottom;
    for &i in order.iter().rev() {
        placed[i] = placed[i].min(most);
        most = placed[i] - gap;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_ticks_on_both_sides_of_one() {
        assert_eq!(ticks(0.19, 4.0), [0.2, 0.5, 1.0, 2.0]);
        assert_eq!(ticks(4.0, 130.0), [5.0, 10.0, 20.0, 50.0, 100.0]);
    }

    #[test]
    fn numbers_are_short_and_in_groups() {
        assert_eq!(number(0.2), "0.2");
        assert_eq!(number(10.0), "10");
        assert_eq!(number(1000.0), "1000");
        assert_eq!(number(10_000.0), "10\u{a0}000");
        assert_eq!(number(1_000_000.0), "1\u{a0}000\u{a0}000");
    }

    #[test]
    fn labels_that_overlap_move_apart_and_stay_inside() {
        assert_eq!(apart(&[50, 10], 15, (0, 100)), [50, 10]);
        assert_eq!(apart(&[50, 50, 52], 15, (0, 100)), [50, 65, 80]);
        assert_eq!(apart(&[98, 99, 10], 15, (0, 100)), [85, 100, 10]);
    }

    #[test]
    fn no_two_semaphores_look_alike() {
        let names = [
            Semafair::NAME,
            Tokio::NAME,
            FuturesIntrusive::NAME,
            Maitake::NAME,
            AsyncWeighted::NAME,
            Asyncband::NAME,
            AsyncLock::NAME,
            Saa::NAME,
        ];
        for (i, name) in names.iter().enumerate() {
            assert!(names[..i].iter().all(|other| colour(other) != colour(name)), "{name}");
        }
    }
}
