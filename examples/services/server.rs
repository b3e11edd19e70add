//! A web server with limits: for each route, for all routes together, and in bytes.
//!
//! ```sh
//! cargo run --features tower --example server              # on http://127.0.0.1:8080
//! cargo run --features tower --example server 127.0.0.1:0  # on a free port, which it prints
//! cargo run --features tower --example server 127.0.0.1:0 5  # may take 5 seconds to shut down
//!
//! curl http://127.0.0.1:8080/page
//! curl --data-binary @Cargo.lock http://127.0.0.1:8080/upload
//! curl http://127.0.0.1:8080/status
//! curl -X PUT --data 2 http://127.0.0.1:8080/limits/page
//! ```
//!
//! What cannot run at once waits in line. Where the line is full, the answer is 503 with `Retry-After`, at once.
//! An upload takes as many permits as it has kibibytes, since it is kept in memory. Ctrl-C or SIGTERM lets what
//! runs end, and nothing new start.
//!
//! An upload is not read before it has its permits. So a client should send `Expect: 100-continue`, as curl does for large ones,
//! and not the upload itself until it is told to: an answer can be lost if a server ends a connection on
//! which bytes still come. And a client that leaves is noticed while its upload is read, not while it waits.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::error_handling::HandleErrorLayer;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use semafair::Semaphore;
use semafair::tower::{ConcurrencyLimitLayer, Error as LimitError};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

const KIB: usize = 1024;
/// How long a client may take to send its upload: it keeps permits meanwhile.
const UPLOAD_TIME: Duration = Duration::from_secs(30);
/// How many seconds what runs may take to end, once the shutdown has begun.
const GRACE: u64 = 20;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let grace = arguments.next().map_or(Ok(GRACE), |seconds| seconds.parse())?;
    let listener =
        TcpListener::bind(&address).await.map_err(|error| format!("{address}: {error}"))?;
    let stop = stop_signal()?;
    println!("Listening on http://{}", listener.local_addr()?);

    let limits = Arc::new(Limits::new());
    // While requests drain, connections are accepted, and new requests are refused: an answer tells a client
    // more than a connection that breaks.
    let drained = limits.clone().drained();
    let serving = axum::serve(listener, app(&limits)).with_graceful_shutdown(drained);
    let mut serving = pin!(serving.into_future());

    tokio::select! {
        ended = &mut serving => {
            ended?;
            return Err("the server has ended by itself".into());
        }
        () = stop => {}
    }
    println!("Shutting down: nothing new is started.");
    limits.close();
    let in_time = timeout(Duration::from_secs(grace), serving).await;
    for limit in limits.all() {
        println!("{}", limit.line());
    }
    match in_time {
        Ok(ended) => ended?,
        Err(_) => {
            println!("Time is up: stopping what still runs.");
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("All is done.");
    Ok(ExitCode::SUCCESS)
}

/// Is ready at Ctrl-C, or at what a supervisor sends to end a service. From this call on, neither ends the
/// program by itself.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(windows)]
    {
        let mut interrupt = tokio::signal::windows::ctrl_c()?;
        Ok(async move {
            interrupt.recv().await;
        })
    }
}

// The limits.

struct Limits {
    pages: Limit,
    /// In kibibytes.
    uploads: Limit,
    /// Requests of all kinds.
    requests: Limit,
}

/// A semaphore, and a count beside it that shows whether it holds.
struct Limit {
    semaphore: Arc<Semaphore>,
    now: AtomicUsize,
    most: AtomicUsize,
    served: AtomicUsize,
}

impl Limits {
    fn new() -> Self {
        // A limit of 0 stops pages, or all requests, and they wait. An upload that can never fit is not to wait.
        let pages = Semaphore::builder(4).queue_limit(16).name("pages");
        let uploads = Semaphore::builder(256).queue_limit(512).fail_oversized().name("uploads");
        let requests = Semaphore::builder(8).queue_limit(32).name("requests");
        Self {
            pages: Limit::new(pages.build()),
            uploads: Limit::new(uploads.build()),
            requests: Limit::new(requests.build()),
        }
    }

    fn all(&self) -> [&Limit; 3] {
        [&self.pages, &self.uploads, &self.requests]
    }

    /// Starts nothing new. What waits in line is refused.
    fn close(&self) {
        for limit in self.all() {
            limit.semaphore.close();
        }
    }

    /// Waits until all limits are closed, and all answers sent.
    async fn drained(self: Arc<Self>) {
        for limit in self.all() {
            limit.semaphore.drained().await;
        }
    }
}

impl Limit {
    fn new(semaphore: Semaphore) -> Self {
        Self {
            semaphore: Arc::new(semaphore),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
        }
    }

    fn line(&self) -> String {
        // ORDERING: Relaxed, here and below. Each counter is exact by itself and guards nothing.
        let [now, most, served] =
            [&self.now, &self.most, &self.served].map(|count| count.load(Ordering::Relaxed));
        let status = self.semaphore.status();
        format!("{status}; in flight {now}, {most} at most, {served} served")
    }

    /// Counts `n` as in flight until the guard is dropped.
    fn count(&self, n: usize) -> InFlight<'_> {
        let now = self.now.fetch_add(n, Ordering::Relaxed) + n;
        self.most.fetch_max(now, Ordering::Relaxed);
        InFlight { limit: self, n }
    }
}

struct InFlight<'a> {
    limit: &'a Limit,
    n: usize,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.limit.now.fetch_sub(self.n, Ordering::Relaxed);
        self.limit.served.fetch_add(1, Ordering::Relaxed);
    }
}

// The routes.

type Shared = Arc<Limits>;

fn app(limits: &Shared) -> Router {
    let page = under(get(page), &limits.pages, &limits.requests, |_| 1);
    let upload = under(post(upload), &limits.uploads, &limits.requests, kibibytes);
    Router::new()
        .route("/page", page)
        .route("/upload", upload)
        // Under no limit: these are needed most when the server is full. Outside of an example, they would
        // have an address of their own that strangers cannot reach.
        .route("/status", get(status))
        .route("/limits/{name}", put(set_limit))
        .with_state(limits.clone())
}

/// Puts a route under a limit of its own, and that of all routes.
///
/// Its own comes first. So a request that waits for its own keeps none of the permits that are for all.
fn under(
    route: MethodRouter<Shared>,
    own: &Limit,
    all: &Limit,
    weight: fn(&Request) -> u32,
) -> MethodRouter<Shared> {
    // Until the body ends: a client that reads slowly is still being served.
    let all = ConcurrencyLimitLayer::with_semaphore(all.semaphore.clone()).until_body_ends();
    let own = ConcurrencyLimitLayer::with_semaphore(own.semaphore.clone()).until_body_ends();
    route
        .layer((HandleErrorLayer::new(refuse), all))
        .layer((HandleErrorLayer::new(refuse), own.weight(weight)))
}

/// What a client is told that is not served.
async fn refuse(error: LimitError<Infallible>) -> Response {
    let LimitError::Refused(refused) = error;
    let text = format!("{refused}\n");
    if refused.is_oversized() {
        (StatusCode::PAYLOAD_TOO_LARGE, text).into_response()
    } else if refused.is_queue_full() {
        (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], text).into_response()
    } else {
        // It shuts down. The next request is for another server, or for the next that starts here.
        let headers = [(RETRY_AFTER, "5"), (CONNECTION, "close")];
        (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response()
    }
}

/// How many permits an upload needs: one for each kibibyte, rounded up, and one if it is empty.
fn kibibytes(request: &Request) -> u32 {
    let length = content_length(request.headers()).unwrap_or(0);
    u32::try_from(length.div_ceil(KIB).max(1)).unwrap_or(u32::MAX)
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn page(State(limits): State<Shared>) -> &'static str {
    let _counted = (limits.pages.count(1), limits.requests.count(1));
    // Stands for a question to a database.
    sleep(Duration::from_millis(5)).await;
    "Hello!\n"
}

async fn upload(State(limits): State<Shared>, request: Request) -> Response {
    let kibibytes = kibibytes(&request) as usize;
    let _counted = (limits.uploads.count(kibibytes), limits.requests.count(1));
    let Some(length) = content_length(request.headers()) else {
        // Its memory could not be told beforehand.
        return StatusCode::LENGTH_REQUIRED.into_response();
    };
    match timeout(UPLOAD_TIME, to_bytes(request.into_body(), length)).await {
        Ok(Ok(bytes)) => {
            format!("{} bytes, checksum {:08x}\n", bytes.len(), checksum(&bytes)).into_response()
        }
        Ok(Err(error)) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// Adler-32.
fn checksum(bytes: &Bytes) -> u32 {
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}

/// One line for each semaphore.
async fn status(State(limits): State<Shared>) -> String {
    limits.all().map(|limit| limit.line() + "\n").concat()
}

/// Changes a limit while requests run: more start at once, or what runs above it ends first.
async fn set_limit(
    State(limits): State<Shared>,
    Path(name): Path<String>,
    body: String,
) -> Result<String, (StatusCode, &'static str)> {
    let limit = limits.all().into_iter().find(|limit| limit.semaphore.status().name == Some(&name));
    let limit = limit.ok_or((StatusCode::NOT_FOUND, "no such limit\n"))?;
    let permits = body.trim().parse().ok().filter(|permits| *permits <= Semaphore::MAX_PERMITS);
    let permits = permits.ok_or((StatusCode::BAD_REQUEST, "not a number of permits\n"))?;
    limit.semaphore.set_limit(permits);
    Ok(limit.line() + "\n")
}
