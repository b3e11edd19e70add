//! Limits how many downloads run at the same time.
//!
//! ```sh
//! cargo run --example downloads
//! ```
//!
//! The usual shape of a crawler, a mirror or a backup: a task per file, and a permit per request
//! in flight. The files come from a server that this program starts itself, and the server counts
//! how many requests it answers at once.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use semafair::Semaphore;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const FILES: usize = 40;
const AT_ONCE: usize = 4;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
type HttpClient = Client<HttpConnector, Full<Bytes>>;

#[tokio::main]
async fn main() -> Result<()> {
    let server = Arc::new(Server::default());
    let address = server.clone().start().await?;

    let started = Instant::now();
    let bytes = download_all(address).await?;
    let most = server.most.load(Ordering::Relaxed);

    println!("Downloaded {FILES} files, {} KiB, in {:.1?}.", bytes / 1024, started.elapsed());
    println!("The server saw at most {most} requests at once; {AT_ONCE} were allowed.");
    assert!(most <= AT_ONCE, "the semaphore did not hold");
    Ok(())
}

/// Downloads every file, `AT_ONCE` at the same time, and returns how many bytes they had.
async fn download_all(server: SocketAddr) -> Result<usize> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let limit = Arc::new(Semaphore::new(AT_ONCE));

    let mut downloads = JoinSet::new();
    for file in 0..FILES {
        let uri = format!("http://{server}/file-{file}").parse()?;
        let (client, limit) = (client.clone(), limit.clone());
        downloads.spawn(async move {
            // Inside the task: every download waits in line, and none blocks this loop.
            let _permit = limit.acquire().await?;
            download(&client, uri).await
            // The permit goes to the next in line here, after the last byte, or after an error.
        });
    }
    let mut bytes = 0;
    while let Some(download) = downloads.join_next().await {
        bytes += download??.len();
    }
    Ok(bytes)
}

async fn download(client: &HttpClient, uri: Uri) -> Result<Bytes> {
    let response = client.get(uri).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

/// A slow server that counts the requests in flight.
#[derive(Default)]
struct Server {
    in_flight: AtomicUsize,
    most: AtomicUsize,
}

impl Server {
    /// Starts serving on a free port of this machine, in the background.
    async fn start(self: Arc<Self>) -> Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let server = self.clone();
                let answer = service_fn(move |request| server.clone().answer(request));
                let connection = TokioIo::new(connection);
                tokio::spawn(http1::Builder::new().serve_connection(connection, answer));
            }
        });
        Ok(address)
    }

    async fn answer<B>(
        self: Arc<Self>,
        _: Request<B>,
    ) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
        // ORDERING: Relaxed, here and below. Each counter is exact by itself and guards nothing.
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(in_flight, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        Ok(Response::new(Full::new(Bytes::from(vec![b'.'; 64 * 1024]))))
    }
}
