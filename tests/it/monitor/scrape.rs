//! The example `metrics`, as a program that is scraped through the loopback interface.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bank::program;
use crate::support::watch;

/// What a scrape says.
async fn scrape(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn figure(answer: &str, name: &str) -> f64 {
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in:\n{answer}")).parse().unwrap()
}

#[tokio::test]
async fn a_program_is_scraped() {
    watch();
    let mut program = program::start("metrics", ["127.0.0.1:0"]);
    let mut output = program::output_of(&mut program);
    let line = program::lines_until(&mut output, "Listening on http://").await;
    let address = line.trim().rsplit('/').next().unwrap();

    // The first bursts are over; the watchdog ends what never becomes so. A scrape reads one figure after the other.
    let granted = "semafair_granted_total{semaphore=\"database\"}";
    let waits = "semafair_wait_seconds_count{semaphore=\"database\",outcome=\"granted\"}";
    let answer = loop {
        let answer = scrape(address).await.unwrap();
        let is_enough = |name| answer.contains(name) && figure(&answer, name) >= 8.0;
        if is_enough(granted) && is_enough(waits) {
            break answer;
        }
    };
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\n# TYPE semafair_granted_total counter\n"), "{answer}");
    assert!(
        answer.contains("\n# HELP semafair_uncollected Permits that were granted "),
        "{answer}"
    );
    let of = |name: &str| figure(&answer, &format!("semafair_{name}{{semaphore=\"database\"}}"));
    assert_eq!(of("limit"), 2.0);
    assert_eq!(of("available") + of("outstanding"), 2.0);
    assert!(of("queued") <= 4.0 && of("uncollected") <= 2.0);
    let wait = |line: &str| {
        figure(
            &answer,
            &format!(
                "semafair_wait_seconds_bucket{{semaphore=\"database\",outcome=\"granted\",le=\"{line}\"}}"
            ),
        )
    };
    assert!(wait("+Inf") >= wait("0.001"));
}
