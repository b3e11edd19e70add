//! The example server, as a program that clients in this process load through the loopback interface.

mod http;

use std::io;
use std::net::SocketAddr;

use futures::future::join_all;
use tokio::process::Child;
use tokio::task::JoinSet;

use self::http::{Answer, Client};
use crate::bank::program::{self, ProgramOutput};
use crate::support::{seed, watch};

const KIB: usize = 1024;

/// A running server, which is killed if the test ends before it does.
struct Server {
    program: Child,
    output: ProgramOutput,
    address: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(&["127.0.0.1:0"]).await
    }

    async fn start_with(options: &[&str]) -> Self {
        watch();
        let mut program = program::start("server", options);
        let mut output = program::output_of(&mut program);
        let line = program::lines_until(&mut output, "Listening on http://").await;
        let address = line.trim().rsplit('/').next().expect("it tells its address");
        let address = address.parse().expect("the address is one");
        Self { program, output, address }
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await.expect("the server accepts connections")
    }

    async fn answer(&self, line: &str, body: &str) -> Answer {
        let mut client = self.client().await;
        client.send(line, body).await.expect("the request can be sent");
        client.answer().await.expect("there is an answer")
    }

    async fn status(&self) -> Status {
        let answer = self.answer("GET /status", "").await;
        assert_eq!(answer.status, 200);
        Status(answer.body)
    }

    /// Asks the server for its state until it is so; the watchdog ends what never becomes so.
    async fn until(&self, is_so: impl Fn(&Status) -> bool) -> Status {
        loop {
            let status = self.status().await;
            if is_so(&status) {
                return status;
            }
        }
    }

    /// Four uploads that have begun, and use up the permits; and eight that wait, and fill the line.
    async fn full_of_uploads(&self) -> (Vec<Client>, Vec<Client>, Status) {
        let (mut running, mut waiting) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            running.push(self.half_an_upload(64 * KIB).await);
        }
        for _ in 0..8 {
            waiting.push(self.waiting_upload(64 * KIB).await);
        }
        let status = self.until(|status| status.of("uploads", "queued ") == 512).await;
        (running, waiting, status)
    }

    /// Begins an upload of that size, which the server accepts, and sends half of it.
    async fn half_an_upload(&self, size: usize) -> Client {
        let mut client = self.waiting_upload(size).await;
        assert_eq!(client.answer().await.expect("there is an answer").status, 100);
        client.body(&vec![b'x'; size / 2]).await.expect("it is read");
        client
    }

    /// Asks whether it may upload that many bytes.
    async fn waiting_upload(&self, size: usize) -> Client {
        let mut client = self.client().await;
        client.offer("POST /upload", size).await.expect("the request can be sent");
        client
    }
}

/// What the server says of itself: a line for each limit.
#[derive(Debug)]
struct Status(String);

impl Status {
    /// The number behind a word, or before one, in the line of a limit.
    fn of(&self, limit: &str, what: &str) -> usize {
        let line = self.0.lines().find(|line| line.starts_with(&format!("{limit}: ")));
        let line = line.unwrap_or_else(|| panic!("no line for {limit} in\n{}", self.0));
        let part = line.split([',', ';', ':']).map(str::trim).find_map(|part| {
            part.strip_prefix(what).or_else(|| part.strip_suffix(what)).map(str::trim)
        });
        part.and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("no number with {what:?} in {line:?}"))
    }
}

/// What a client came to know.
#[derive(Default)]
struct Count {
    pages: usize,
    uploads: usize,
    refused: usize,
}

/// Whether there is no answer, as the connection was at its end.
fn is_over(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof,
    };
    [BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof]
        .contains(&error.kind())
}

/// Sends requests, and counts the answers: all of them, or those until the server shuts down.
async fn load(
    address: SocketAddr,
    seed: u64,
    requests: usize,
    counts: &mut Count,
) -> io::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut client = Client::connect(address).await?;
    for _ in 0..requests {
        let is_page = random.bool();
        if is_page {
            client.send("GET /page", "").await?;
        } else {
            let size = random.usize(..64 * KIB);
            client.offer("POST /upload", size).await?;
            if size > 0 {
                let answer = client.answer().await?;
                if answer.status == 503 {
                    refused(&answer);
                    counts.refused += 1;
                    if answer.header("retry-after") == Some("5") {
                        return Ok(());
                    }
                    // The server cannot know whether the body follows nevertheless.
                    client = Client::connect(address).await?;
                    continue;
                }
                assert_eq!(answer.status, 100, "{answer:?}");
                client.body(&vec![b'x'; size]).await?;
            }
        }
        let answer = client.answer().await?;
        match answer.status {
            200 if is_page => counts.pages += 1,
            200 => counts.uploads += 1,
            503 => {
                refused(&answer);
                counts.refused += 1;
                if answer.header("retry-after") == Some("5") {
                    return Ok(());
                }
            }
            _ => panic!("{answer:?}"),
        }
        if answer.header("connection") == Some("close") {
            client = Client::connect(address).await?;
        }
    }
    Ok(())
}

/// Looks at a refusal: it says why, and when to come again.
fn refused(answer: &Answer) {
    assert_eq!(answer.status, 503);
    match answer.header("retry-after") {
        Some("1") => assert!(answer.body.ends_with("queue full\n"), "{answer:?}"),
        Some("5") => {
            assert!(answer.body.ends_with("closed\n"), "{answer:?}");
            assert_eq!(answer.header("connection"), Some("close"));
        }
        _ => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn under_load_no_more_run_than_allowed_and_all_are_answered() {
    const CLIENTS: u64 = 48;
    const REQUESTS: usize = 20;

    let server = Server::start().await;
    let seed = seed();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let address = server.address;
        clients.spawn(async move {
            let mut count = Count::default();
            let result = load(address, seed.wrapping_add(client), REQUESTS, &mut count).await;
            (result, count)
        });
    }
    let requests = clients.len() * REQUESTS;
    // Meanwhile, the limits move.
    let mut random = fastrand::Rng::with_seed(seed);
    let mut most = [("pages", 4), ("uploads", 256), ("requests", 8)];
    for _ in 0..40 {
        let (name, most) = &mut most[random.usize(..3)];
        let limit = match *name {
            "pages" => random.usize(1..=6),
            "uploads" => random.usize(64..=320),
            _ => random.usize(1..=12),
        };
        *most = limit.max(*most);
        let answer = server.answer(&format!("PUT /limits/{name}"), &limit.to_string()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(Status(answer.body).of(name, "limit "), limit);
    }

    let mut all = Count::default();
    while let Some(client) = clients.join_next().await {
        let (result, count) = client.expect("each answer was as it should be");
        result.expect("each request was answered");
        all.pages += count.pages;
        all.uploads += count.uploads;
        all.refused += count.refused;
    }
    assert_eq!(all.pages + all.uploads + all.refused, requests);

    let names = most.map(|(name, _)| name);
    // An answer may have come, and its permit be on the way.
    let status = server.until(|s| names.iter().all(|name| s.of(name, "outstanding ") == 0)).await;
    for (name, most) in most {
        assert!(status.of(name, " at most") <= most, "{name}, {most}: {status:?}");
        assert_eq!(status.of(name, "in flight "), 0, "{status:?}");
        assert_eq!(status.of(name, "queued "), 0, "{status:?}");
        assert_eq!(status.of(name, "limit "), status.of(name, "available "), "{status:?}");
    }
    assert_eq!(status.of("pages", " served"), all.pages, "{status:?}");
    assert_eq!(status.of("uploads", " served"), all.uploads, "{status:?}");
    assert_eq!(status.of("requests", " served"), all.pages + all.uploads, "{status:?}");
}

#[tokio::test]
async fn where_the_line_is_full_the_answer_comes_at_once() {
    let server = Server::start().await;
    let (running, waiting, status) = server.full_of_uploads().await;
    assert_eq!(status.of("uploads", "in flight "), 256, "{status:?}");
    assert_eq!(status.of("requests", "outstanding "), 4, "waiting ones keep none: {status:?}");

    let answer = server.waiting_upload(1).await.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let answer = server.waiting_upload(257 * KIB).await.answer().await.unwrap();
    assert_eq!(answer.status, 413);
    // Other routes have lines of their own.
    assert_eq!(server.answer("GET /page", "").await.status, 200);

    for mut client in running {
        client.body(&[b'x'; 32 * KIB]).await.unwrap();
        let answer = client.answer().await.unwrap();
        assert_eq!((answer.status, answer.body.starts_with("65536 bytes, ")), (200, true));
    }
    // At the same time: nobody knows in which order they have come to the server.
    let waiting = waiting.into_iter().map(async |mut client| {
        assert_eq!(client.answer().await.unwrap().status, 100);
        client.body(&[b'x'; 64 * KIB]).await.unwrap();
        assert_eq!(client.answer().await.unwrap().status, 200);
    });
    join_all(waiting).await;
    let status = server.until(|status| status.of("uploads", "outstanding ") == 0).await;
    assert_eq!(status.of("uploads", " at most"), 256, "{status:?}");
    assert_eq!(status.of("uploads", " served"), 12, "{status:?}");
}

#[tokio::test]
async fn a_client_that_leaves_gives_up_what_it_has() {
    let server = Server::start().await;
    drop(server.half_an_upload(256 * KIB).await);
    server.until(|status| status.of("uploads", "outstanding ") == 0).await;

    // Nothing runs until there is a permit.
    assert_eq!(server.answer("PUT /limits/pages", "0").await.status, 200);
    let (mut first, mut second) = (server.client().await, server.client().await);
    first.send("GET /page", "").await.unwrap();
    second.send("GET /page", "").await.unwrap();
    server.until(|status| status.of("pages", "queued ") == 2).await;
    drop(first);
    server.until(|status| status.of("pages", "queued ") == 1).await;
    assert_eq!(server.answer("PUT /limits/pages", "1").await.status, 200);
    assert_eq!(second.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn bad_requests_change_nothing() {
    let server = Server::start().await;
    for (line, body, status) in [
        ("PUT /limits/pages", "many", 400),
        ("PUT /limits/pages", "-1", 400),
        ("PUT /limits/pages", "18446744073709551615", 400),
        ("PUT /limits/nothing", "1", 404),
        ("GET /nothing", "", 404),
        ("GET /upload", "", 405),
    ] {
        assert_eq!(server.answer(line, body).await.status, status, "{line} {body}");
    }
    let mut client = server.client().await;
    let chunked = "POST /upload HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
    client.body(chunked.as_bytes()).await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 411);
    let status = server.until(|status| status.of("uploads", "outstanding ") == 0).await;
    assert_eq!(status.of("pages", "limit "), 4);
}

/// Ends the server, while some requests run and others wait.
async fn shut_down(signal: fn(&Child)) {
    let mut server = Server::start().await;
    let _idle = server.client().await;
    let (running, waiting, _) = server.full_of_uploads().await;

    signal(&server.program);
    program::lines_until(&mut server.output, "Shutting down").await;
    for mut client in waiting {
        refused(&client.answer().await.expect("one that waited is answered"));
    }
    // It is still there for those who come now.
    refused(&server.answer("GET /page", "").await);
    for mut client in running {
        client.body(&[b'x'; 32 * KIB]).await.expect("it is still read");
        assert_eq!(client.answer().await.expect("one that ran is answered").status, 200);
    }
    let end = Status(program::lines_until(&mut server.output, "All is done.").await);
    assert_eq!(end.of("uploads", "available "), 256, "{end:?}");
    assert_eq!(end.of("uploads", " served"), 4, "{end:?}");
    assert_eq!(program::exit_code(&mut server.program).await, Some(0));
    assert!(is_over(&Client::connect(server.address).await.err().expect("nobody is there")));
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_lets_what_runs_end() {
    shut_down(program::ctrl_c).await;
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_lets_what_runs_end() {
    shut_down(program::terminate).await;
}

#[cfg(unix)]
#[tokio::test]
async fn what_takes_too_long_is_stopped() {
    let mut server = Server::start_with(&["127.0.0.1:0", "0"]).await;
    let mut running = server.half_an_upload(64 * KIB).await;
    program::terminate(&server.program);
    let end = Status(program::lines_until(&mut server.output, "Time is up").await);
    assert_eq!(end.of("uploads", "outstanding "), 64, "{end:?}");
    assert_eq!(program::exit_code(&mut server.program).await, Some(1));
    assert!(is_over(&running.answer().await.expect_err("the server has gone")));
}

#[tokio::test]
async fn an_address_that_is_none_is_an_error() {
    let output = program::run("server", ["nowhere"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(program::text(&output.stderr).starts_with("Error: \"nowhere: "), "{output:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_shutdown_under_load_loses_no_answer() {
    const CLIENTS: u64 = 24;

    let mut server = Server::start().await;
    let seed = seed();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let address = server.address;
        clients.spawn(async move {
            let mut count = Count::default();
            let result = load(address, seed.wrapping_add(client), usize::MAX, &mut count).await;
            (result, count)
        });
    }
    server.until(|status| status.of("requests", " served") >= 100).await;
    program::terminate(&server.program);
    let end = Status(program::lines_until(&mut server.output, "All is done.").await);
    assert_eq!(program::exit_code(&mut server.program).await, Some(0));

    let mut all = Count::default();
    while let Some(client) = clients.join_next().await {
        let (result, count) = client.expect("each answer was as it should be");
        // A request that comes as the server goes is not taken any more.
        if let Err(error) = result {
            assert!(is_over(&error), "{error}");
        }
        all.pages += count.pages;
        all.uploads += count.uploads;
    }
    // What was served has reached those who asked.
    assert_eq!(end.of("pages", " served"), all.pages, "{end:?}");
    assert_eq!(end.of("uploads", " served"), all.uploads, "{end:?}");
}
