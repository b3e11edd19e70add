//! The example programs, run as programs: what they print, how they end, what they leave behind.

#[cfg(unix)]
mod live;
pub(crate) mod program;
#[allow(dead_code, reason = "the bank itself uses the rest of its files")]
mod screen;
mod story;

use std::fs;

use program::{
    NO_OPTIONS, exit_code, lines_until, output_of, run, scratch, start, text, to_the_end,
};
use story::{Drawing, Story};

/// Options that make for a short story.
const QUICK: [&str; 4] = ["--min-service", "20ms", "--max-service", "60ms"];

#[tokio::test]
async fn customers_are_served_in_order_and_never_more_than_there_are_tellers() {
    let story = Story::of(QUICK).await;
    story.check(2, 5);
    assert_eq!(story.ending, "All customers have been served.");
    assert_eq!(story.code, Some(0));
}

#[tokio::test]
async fn a_thousand_customers_and_ten_tellers() {
    let options = "--tellers 10 --customers 1000 --min-service 2ms --max-service 9ms";
    let story = Story::of(options.split(' ')).await;
    story.check(10, 1000);
    assert_eq!(story.most_at_once, 10);
    assert_eq!(story.ending, "All customers have been served.");
    assert!(story.after.contains("Served at once:  10 at most (tellers: 10)"));
    assert!(story.after.contains("Shown are 40 of the 1000 customers"));
}

#[tokio::test]
async fn a_bank_without_customers_has_nothing_to_draw() {
    let story = Story::of(["--customers", "0"]).await;
    assert_eq!(story.ending, "All customers have been served.");
    assert!(!story.after.contains("waiting"));
    assert_eq!(story.code, Some(0));
}

#[tokio::test]
async fn a_chart_in_a_pipe_is_plain_and_fits() {
    let chart = Story::of(QUICK).await.after;
    assert!(!chart.contains('\x1b'), "colours in a pipe:\n{chart}");
    assert!(chart.lines().all(|line| line.chars().count() <= 80), "too wide:\n{chart}");
    for part in ["Customer", "5 │", "·", "█", "└┬", "ms", "waiting", "being served", "Waited:"]
    {
        assert!(chart.contains(part), "no {part:?} in:\n{chart}");
    }
    // Nobody left, so the legend does not speak of it.
    assert!(!chart.contains("left unserved"), "{chart}");
}

#[tokio::test]
async fn no_chart_still_tells_the_numbers() {
    let story = Story::of(QUICK.into_iter().chain(["--no-chart", "--seed", "7"])).await;
    assert!(!story.after.contains("waiting"), "{}", story.after);
    assert!(story.after.contains("Seed:            7 "), "{}", story.after);
}

#[tokio::test]
async fn customers_may_come_one_after_the_other() {
    let options = "--arrivals 50ms --customers 20 --tellers 20 --min-service 10s --max-service 10s";
    let mut bank = start("bank", options.split(' '));
    let mut output = output_of(&mut bank);
    let log = lines_until(&mut output, "Customer 20 is being served").await;
    let came: Vec<_> =
        log.lines().filter(|line| line.ends_with("is waiting for a teller.")).collect();
    assert_eq!(came.len(), 20);
    for (line, customer) in came.into_iter().zip(1..) {
        assert!(line.contains(&format!("Customer {customer} is")), "{line}");
    }
}

#[tokio::test]
async fn without_a_terminal_the_log_tells_what_the_screen_would_show() {
    let options = "--live --customers 3 --arrivals 10ms";
    let output = run("bank", options.split(' ').chain(QUICK)).await;
    assert_eq!(
        text(&output.stderr),
        "--live needs a terminal for input and output, and not a dumb one: the log tells the day instead.\n"
    );
    let story = Story::read(text(&output.stdout), output.status.code());
    story.check(2, 3);
    assert_eq!(story.code, Some(0));
}

#[tokio::test]
async fn help_tells_of_every_option() {
    let output = run("bank", ["--help"]).await;
    let help = text(&output.stdout);
    let options =
        "tellers customers arrivals min-service max-service seed live svg no-chart help version";
    for option in options.split(' ') {
        assert!(help.contains(&format!("--{option}")), "no --{option} in:\n{help}");
    }
    assert!(help.contains("Usage: cargo run --example bank -- [OPTIONS]"), "{help}");
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "too long for a terminal: {line}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn it_tells_its_version() {
    let output = run("bank", ["--version"]).await;
    let version = text(&output.stdout).strip_prefix("bank ").expect("the name comes first").trim();
    let manifest = include_str!("../../Cargo.toml");
    assert!(manifest.contains(&format!("\nversion = \"{version}\"\n")), "{version}");
}

#[tokio::test]
async fn bad_input_is_one_sentence_before_anything_starts() {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let nowhere = format!("--svg={directory}/no-such-directory/bank.svg");
    let no_file = format!("--svg={directory}");
    for (options, sentence) in [
        ("--tellers=0", "invalid value '0' for '--tellers <NUMBER>': not between 1 and 65535"),
        ("--tellers -1", "invalid value '-1' for '--tellers <NUMBER>': not between 1 and 65535"),
        ("--tellers x", "invalid value 'x' for '--tellers <NUMBER>': not a whole number"),
        (
            "--telers 3",
            "unexpected argument '--telers' found; a similar argument exists: '--tellers'",
        ),
        ("--customers=100001", "not between 0 and 100000"),
        ("--min-service=4s", "--min-service (4s) is longer than --max-service (3s)"),
        (
            "--min-service -1s",
            "invalid value '-1s' for '--min-service <DURATION>': not a number with",
        ),
        ("--arrivals=soon", "invalid value 'soon' for '--arrivals <DURATION>'"),
        ("--max-service=3", "for '--max-service <DURATION>': not a number with a unit, such as"),
        ("--min-service=soon", "invalid value 'soon' for '--min-service <DURATION>'"),
        ("--seed=x", "invalid value 'x' for '--seed <NUMBER>': not a whole number"),
        ("--seed -7", "invalid value '-7' for '--seed <NUMBER>': not between 0 and"),
        ("--vault", "unexpected argument '--vault' found"),
        (&nowhere, "cannot write"),
        (&no_file, "cannot write"),
    ] {
        let output = run("bank", options.split(' ')).await;
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options}: {error}");
        assert!(error.starts_with("error: ") && error.contains(sentence), "{options}: {error}");
        assert_eq!(error.lines().count(), 1, "{options}: {error}");
        assert_eq!(text(&output.stdout), "", "{options} has started something");
    }
}

#[tokio::test]
async fn a_seed_repeats_the_service_times() {
    let services = async |name: &str, seed: &str, customers: &str| {
        let options = ["--seed", seed, "--customers", customers, "--tellers", "10"];
        let drawing = Drawing::by(name, QUICK.into_iter().chain(options)).await;
        let tips = drawing.texts("title").into_iter();
        let services = tips.filter_map(|tip| Some(tip.split_once("service of ")?.1.to_owned()));
        services.collect::<Vec<_>>()
    };
    let first = services("seed-1", "42", "8").await;
    assert_eq!(first.len(), 8);
    assert_eq!(first, services("seed-2", "42", "8").await);
    assert_eq!(first[..5], services("seed-3", "42", "5").await);
    assert_ne!(first, services("seed-4", "43", "8").await);
}

#[tokio::test]
async fn the_drawing_is_well_formed_and_tells_everything() {
    let options = QUICK.into_iter().chain(["--seed", "1234567"]);
    let texts = Drawing::by("drawing", options).await.texts("text");
    for part in ["1", "5", "customer", "0s", "time since the bank opened", "waiting"] {
        assert!(texts.iter().any(|text| text == part), "no {part:?} in {texts:?}");
    }
    for part in ["Tellers: 2, customers: 5", "at most 2 served at once", "seed 1234567"] {
        assert!(texts.iter().any(|text| text.contains(part)), "no {part:?} in {texts:?}");
    }
}

/// Neither loading the time zone nor making the tasks counts as a customer's time.
#[tokio::test]
async fn the_bank_opens_when_the_first_customer_comes_in() {
    let drawing = Drawing::by("first", QUICK).await;
    assert_eq!(drawing.of_row(1, "x")[0], drawing.of_text("0s", "x"), "the first bar begins late");
}

/// At 14 pixels, a character is about 8 wide, and there is room for 860 pixels.
#[tokio::test]
async fn the_heading_of_a_drawing_fits() {
    let options = "--tellers 3 --customers 300 --min-service 2ms --max-service 3ms";
    let seed = format!("--seed={}", u64::MAX);
    let drawing = Drawing::by("heading", options.split(' ').chain([&*seed])).await;
    let heading = drawing.texts("text").into_iter().find(|text| text.contains(" · "));
    let heading = heading.expect("there is a heading");
    assert!(heading.chars().count() <= 105, "too long: {heading}");
}

/// A drawing goes to where a link leads, and into a pipe: it replaces neither.
#[cfg(unix)]
#[tokio::test]
async fn a_drawing_replaces_no_link_and_no_device() {
    let [link, target] = ["link.svg", "target.svg"].map(scratch);
    drop(fs::remove_file(&link));
    fs::write(&target, "earlier").expect("the scratch directory is writable");
    std::os::unix::fs::symlink(&target, &link).expect("links can be made");
    Drawing::by("link", QUICK).await;
    assert!(fs::symlink_metadata(&link).expect("it is still there").is_symlink());
    assert!(fs::read_to_string(&target).expect("it is still there").starts_with("<svg"));

    // A link to the program's own output, which is a pipe here.
    drop(fs::remove_file(&link));
    std::os::unix::fs::symlink("/dev/stdout", &link).expect("links can be made");
    let svg = format!("--svg={}", link.display());
    let output = run("bank", QUICK.into_iter().chain([&*svg])).await;
    assert!(text(&output.stdout).contains("</svg>"), "{}", text(&output.stderr));
    assert!(fs::symlink_metadata(&link).expect("it is still there").is_symlink());
}

#[tokio::test]
async fn a_thousand_customers_make_a_drawing_of_bounded_height() {
    let options = "--tellers 100 --customers 1000 --min-service 1ms --max-service 3ms";
    let drawing = Drawing::by("thousand", options.split(' ')).await;
    let height: f64 = drawing.attribute("height").parse().expect("the height is a number");
    assert!(height < 1500.0, "{height} is too high");
    assert!(drawing.texts("text").len() < 100, "labels lie on each other");
    let tips = drawing.texts("title");
    let shown = tips.iter().filter(|tip| tip.contains("service of")).count();
    assert_eq!(shown, 250, "more rows would be too thin");
    assert!(drawing.texts("text").iter().any(|text| text.contains("250 of them shown")));
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_closes_the_bank_once_those_being_served_are_done() {
    // Left alone, this would take a minute and a half.
    let options = "--customers 1000 --min-service 100ms --max-service 250ms";
    let mut bank = start("bank", options.split(' '));
    let mut output = output_of(&mut bank);
    let mut text = lines_until(&mut output, "Customer 3 is being served").await;
    program::ctrl_c(&bank);
    text += &lines_until(&mut output, "Seed:").await;

    let story = Story::read(&text, exit_code(&mut bank).await);
    story.check(2, 1000);
    let (served, left) = (story.served.len(), story.left.len());
    assert!(served >= 3 && left > 0, "{served} served, {left} left");
    assert_eq!(
        story.ending,
        format!("The bank has closed: {served} served, {left} left unserved.")
    );
    assert!(story.after.contains("·x"), "{}", story.after);
    assert!(story.after.contains("left unserved"), "{}", story.after);
    assert_eq!(story.code, Some(130));
}

/// A bank that is to draw to `path`, and is ended by a second Ctrl-C.
#[cfg(unix)]
async fn interrupted_twice(path: &std::path::Path) {
    let svg = format!("--svg={}", path.display());
    let mut bank = start("bank", ["--min-service=1h", "--max-service=1h", &svg]);
    let mut output = output_of(&mut bank);
    lines_until(&mut output, "Customer 2 is being served").await;
    program::ctrl_c(&bank);
    lines_until(&mut output, "leaves: the bank has closed").await;
    program::ctrl_c(&bank);
    assert_eq!(exit_code(&mut bank).await, Some(130));
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_ctrl_c_ends_the_program_and_leaves_an_earlier_drawing_as_it_is() {
    let path = scratch("earlier.svg");
    fs::write(&path, "earlier").expect("the scratch directory is writable");
    interrupted_twice(&path).await;
    assert_eq!(fs::read_to_string(&path).expect("it is still there"), "earlier");
}

/// What a drawing is made in goes with the program, and no empty file is left where it should be.
#[cfg(unix)]
#[tokio::test]
async fn a_second_ctrl_c_leaves_no_empty_drawing() {
    let path = scratch("none.svg");
    drop(fs::remove_file(&path));
    interrupted_twice(&path).await;
    let name = path.file_name().expect("it has a name").to_owned();
    let directory = fs::read_dir(path.parent().expect("it is in one")).expect("it is there");
    let left: Vec<_> = directory
        .map(|entry| entry.expect("it can be read").file_name())
        .filter(|file| file.to_string_lossy().starts_with(&*name.to_string_lossy()))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The lines of the summary, for a terminal of 60 columns.
#[tokio::test]
async fn the_summary_is_narrow() {
    let options = QUICK.into_iter().chain(["--seed", "4294967295"]);
    let output = run("bank", options).await;
    let story = text(&output.stdout);
    let summary = story.split("Served at once:").nth(1).expect("there is a summary");
    for line in summary.lines().skip(1) {
        assert!(line.chars().count() <= 60, "too long: {line}");
    }
}

#[tokio::test]
async fn a_pipe_closed_early_ends_the_bank_in_silence() {
    // So many lines that no pipe holds them: the bank cannot be done before the pipe is closed.
    let options = "--customers 10000 --min-service 0s --max-service 1ms";
    let mut bank = start("bank", options.split(' '));
    let mut output = output_of(&mut bank);
    lines_until(&mut output, "Customer 1 is waiting").await;
    drop(output);
    let output = to_the_end(bank).await;
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(141));
}

#[tokio::test]
async fn downloads_are_limited() {
    let output = run("downloads", NO_OPTIONS).await;
    let result = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(result.starts_with("Downloaded 40 files, 2560 KiB"), "{result}");
    assert!(result.ends_with("requests at once; 4 were allowed.\n"), "{result}");
}

#[tokio::test]
async fn a_shutdown_starts_nothing_new_and_gets_all_permits_back() {
    let output = run("shutdown", NO_OPTIONS).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = text(&output.stdout);
    let (before, after) = result.split_once("Shutting down").expect("it tells when");
    assert!(before.contains(" starts."), "{result}");
    assert!(!after.contains(" starts."), "{result}");
    assert!(after.contains("Job 9 is not started."), "{result}");
    assert!(after.ends_with("All 3 permits are back.\n"), "{result}");
}

#[tokio::test]
async fn a_limit_follows_a_setting_and_the_service() {
    let output = run("resize", NO_OPTIONS).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = text(&output.stdout);
    assert!(result.contains("calls: limit "), "{result}");
    assert!(result.contains("The limit, over 60 seconds:"), "{result}");
    assert!(result.lines().last().expect("a sum").contains("calls were answered"), "{result}");
}

#[cfg(feature = "keyed")]
#[tokio::test]
async fn a_crawler_keeps_a_limit_for_each_host() {
    let output = run("hosts", NO_OPTIONS).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = text(&output.stdout);
    assert!(result.contains("31 hosts are in use."), "{result}");
    assert!(result.contains("60 pages were fetched, and 0 hosts remain."), "{result}");
}

#[cfg(feature = "keyed")]
#[tokio::test]
async fn tenants_take_turns() {
    let output = run("tenants", NO_OPTIONS).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = text(&output.stdout);
    assert_eq!(result.matches("was done as number").count(), 6, "{result}");
    assert!(result.contains("All 66 were done"), "{result}");
}

#[cfg(feature = "monitor")]
#[tokio::test]
async fn the_futurelock_is_reported_and_cured() {
    let output = run("futurelock", NO_OPTIONS).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("(first try), and nobody has polled that future since"), "{printed}");
    assert_eq!(printed.matches("Cured: ").count(), 3, "{printed}");
}

#[tokio::test]
async fn load_is_shed_at_once() {
    let output = run("shed", NO_OPTIONS).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = text(&output.stdout);
    assert_eq!(result.matches("200, page").count(), 9, "{result}");
    assert_eq!(result.matches("503, Retry-After: 1").count(), 6, "{result}");
    assert!(result.contains("413"), "{result}");
}

#[tokio::test]
async fn buffers_stay_within_a_budget() {
    let output = run("budget", NO_OPTIONS).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = text(&output.stdout);
    assert_eq!(result.matches("had a buffer of").count(), 24, "{result}");
    assert!(result.contains("A file of 64 MiB was refused"), "{result}");
}

#[tokio::test]
async fn connections_are_checked_and_shared() {
    let output = run("pool", NO_OPTIONS).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = text(&output.stdout);
    assert!(result.contains("240 questions were answered"), "{result}");
    assert!(result.contains("is told: semaphore `connections` closed."), "{result}");
    assert!(result.ends_with("were open at once; 4 were allowed.\n"), "{result}");
}
