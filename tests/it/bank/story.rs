//! What a bank leaves behind, read and checked: its output, and its drawing.

use std::ffi::OsStr;
use std::fs;

use super::program::{run, scratch, text};

/// What a bank's output tells, checked line by line.
#[derive(Default)]
pub(super) struct Story {
    pub(super) waiting: Vec<u32>,
    pub(super) served: Vec<u32>,
    pub(super) done: Vec<u32>,
    pub(super) left: Vec<u32>,
    pub(super) most_at_once: usize,
    /// The last line of the log.
    pub(super) ending: String,
    /// What comes after the log.
    pub(super) after: String,
    pub(super) code: Option<i32>,
}

impl Story {
    /// Runs a bank to its end.
    pub(super) async fn of(options: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        let output = run("bank", options).await;
        assert_eq!(text(&output.stderr), "");
        Self::read(text(&output.stdout), output.status.code())
    }

    /// Reads the log, and checks what must hold at each line of it.
    pub(super) fn read(output: &str, code: Option<i32>) -> Self {
        let (log, after) = output.split_once("\n\n").expect("a summary follows the log");
        let mut story = Self { after: after.to_owned(), code, ..Self::default() };
        let mut closed = false;
        for line in log.lines() {
            let (time, what) = line.split_at_checked(10).expect("a line starts with the time");
            let form = time.replace(|character: char| character.is_ascii_digit(), "0");
            assert_eq!(form, "00:00:00: ", "{line}");
            story.ending = what.to_owned();
            closed |= what.starts_with("The bank closes.");

            let Some((customer, what)) =
                what.strip_prefix("Customer ").and_then(|rest| rest.split_once(' '))
            else {
                continue;
            };
            let customer = customer.parse().expect("a customer has a number");
            match what {
                "is waiting for a teller." => story.waiting.push(customer),
                "is being served by a teller." => {
                    assert!(!closed, "served by a closed bank: {line}");
                    assert!(story.waiting.contains(&customer), "served before waiting: {line}");
                    story.served.push(customer);
                }
                "is done being served." => {
                    assert!(story.served.contains(&customer), "done before being served: {line}");
                    story.done.push(customer);
                }
                "leaves: the bank has closed." => {
                    assert!(closed, "left an open bank: {line}");
                    story.left.push(customer);
                }
                _ => panic!("not a line of the story: {line}"),
            }
            story.most_at_once = story.most_at_once.max(story.served.len() - story.done.len());
        }
        story
    }

    /// Checks the order of all, and that everyone who came has been served or has left.
    pub(super) fn check(&self, tellers: usize, customers: u32) {
        let everyone: Vec<_> = (1..=customers).collect();
        assert_eq!(self.waiting, everyone);
        // Customers are called in order; when each is done, or has left, is their own affair.
        let [mut done, mut left] = [self.done.clone(), self.left.clone()];
        done.sort_unstable();
        left.sort_unstable();
        assert_eq!(done, self.served);
        assert_eq!([&self.served[..], &left].concat(), everyone);
        assert!(self.most_at_once <= tellers, "{} served at once", self.most_at_once);
    }
}

/// An SVG file that a bank has drawn.
pub(super) struct Drawing(String);

impl Drawing {
    /// Runs a bank that draws to a scratch file of this name.
    pub(super) async fn by(name: &str, options: impl IntoIterator<Item = &str>) -> Self {
        let path = scratch(name).with_extension("svg");
        let file = path.to_str().expect("the scratch directory has a readable name");
        let options = options.into_iter().map(str::to_owned);
        let story =
            Story::of(options.chain(["--no-chart", "--svg", file].map(str::to_owned))).await;
        assert!(story.after.contains(file), "the summary does not tell of the drawing");
        Self(fs::read_to_string(path).expect("the drawing is there"))
    }

    fn parse(&self) -> roxmltree::Document<'_> {
        roxmltree::Document::parse(&self.0).expect("the drawing is well-formed")
    }

    /// An attribute of the whole drawing.
    pub(super) fn attribute(&self, name: &str) -> String {
        let document = self.parse();
        document.root_element().attribute(name).expect("the drawing has it").to_owned()
    }

    /// The texts of all elements of a kind.
    pub(super) fn texts(&self, element: &str) -> Vec<String> {
        let document = self.parse();
        let elements = document.descendants().filter(|node| node.has_tag_name(element));
        elements.filter_map(|node| Some(node.text()?.trim().to_owned())).collect()
    }

    /// An attribute of the first text that says this.
    pub(super) fn of_text(&self, text: &str, attribute: &str) -> String {
        let document = self.parse();
        let says = |node: &roxmltree::Node<'_, '_>| node.text().is_some_and(|it| it.trim() == text);
        let found = document.descendants().find(|node| node.has_tag_name("text") && says(node));
        let value = found.and_then(|node| node.attribute(attribute));
        value.expect("the drawing says it there").to_owned()
    }

    /// An attribute of a customer's row: of the waiting, and of what followed.
    pub(super) fn of_row(&self, customer: u32, attribute: &str) -> Vec<String> {
        let document = self.parse();
        let tip = format!("Customer {customer}:");
        let of_customer = |text: &str| text.trim().starts_with(&tip);
        let title = document
            .descendants()
            .find(|node| node.has_tag_name("title") && node.text().is_some_and(of_customer));
        let row = title.and_then(|title| title.parent()).expect("the customer has a row");
        let rectangles = row.children().filter(|node| node.has_tag_name("rect"));
        rectangles.map(|node| node.attribute(attribute).expect("it is set").to_owned()).collect()
    }
}
