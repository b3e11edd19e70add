//! A small connection pool, with health checks and time-outs.
//!
//! ```sh
//! cargo run --example pool
//! ```
//!
//! `pool.rs` is the pool, `tests.rs` tests it. Here, many clients share a few connections to a server that this program starts itself. The
//! server hangs up again and again: the pool notices, and connects anew. When all are served, the pool is
//! closed, and the program waits until its connections have ended.

mod pool;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pool::{Manager, Pool, PoolError, Settings};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const CLIENTS: usize = 24;
const QUESTIONS: usize = 10;
const CONNECTIONS: usize = 4;
/// The server hangs up after so many answers.
const ANSWERS: usize = 15;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let counts = Arc::new(Counts::default());
    let manager = Lines { server: start_server().await?, counts: counts.clone() };
    let settings = Settings {
        connections: CONNECTIONS,
        queue: 100,
        get: Duration::from_secs(10),
        check: Duration::from_secs(1),
    };
    let pool = Pool::new(manager, settings);

    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let pool = pool.clone();
        clients.spawn(async move {
            for question in 0..QUESTIONS {
                ask(&pool, &format!("client {client}, question {question}")).await?;
            }
            Ok::<_, PoolError<io::Error>>(())
        });
    }
    while let Some(served) = clients.join_next().await {
        served??;
    }
    println!("{}", pool.status());
    pool.check_idle().await;

    pool.close();
    pool.drained().await;
    let refused = pool.get().await.err().expect("it is closed");
    println!("One who comes late is told: {refused}.");

    // ORDERING: Relaxed, here and below. Each counter is exact by itself and guards nothing.
    let [open, most, made] =
        [&counts.open, &counts.most, &counts.made].map(|count| count.load(Ordering::Relaxed));
    println!("{} questions were answered, over {made} connections.", CLIENTS * QUESTIONS);
    println!("At most {most} were open at once; {CONNECTIONS} were allowed.");
    assert!(most <= CONNECTIONS, "the pool did not hold");
    assert_eq!(open, 0, "a connection is still open");
    Ok(())
}

/// Asks until there is an answer: a connection may break between its check and the question.
async fn ask(pool: &Pool<Lines>, question: &str) -> Result<(), PoolError<io::Error>> {
    loop {
        let mut connection = pool.get().await?;
        match connection.ask(question).await {
            Ok(answer) => {
                assert_eq!(answer, question, "this is the answer to another question");
                return Ok(());
            }
            Err(_) => connection.discard(),
        }
    }
}

/// How many connections there are and were, as they count themselves.
#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    most: AtomicUsize,
    made: AtomicUsize,
}

/// Makes connections that send a line, and get a line.
struct Lines {
    server: SocketAddr,
    counts: Arc<Counts>,
}

struct Connection {
    stream: BufReader<TcpStream>,
    counts: Arc<Counts>,
}

impl Manager for Lines {
    type Connection = Connection;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<Connection> {
        let stream = BufReader::new(TcpStream::connect(self.server).await?);
        let counts = self.counts.clone();
        counts.made.fetch_add(1, Ordering::Relaxed);
        let open = counts.open.fetch_add(1, Ordering::Relaxed) + 1;
        counts.most.fetch_max(open, Ordering::Relaxed);
        Ok(Connection { stream, counts })
    }

    async fn check(&self, connection: &mut Connection) -> bool {
        // The answer to a question that was cancelled would be another one.
        connection.ask("are you there?").await.is_ok_and(|answer| answer == "are you there?")
    }
}

impl Connection {
    async fn ask(&mut self, question: &str) -> io::Result<String> {
        self.stream.write_all(format!("{question}\n").as_bytes()).await?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer).await?;
        match answer.strip_suffix('\n') {
            Some(answer) => Ok(answer.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts a server that says what it hears, on a free port of this machine, in the background.
async fn start_server() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection));
        }
    });
    Ok(address)
}

async fn answer(connection: TcpStream) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    for _ in 0..ANSWERS {
        let mut line = String::new();
        if connection.read_line(&mut line).await? == 0 {
            break;
        }
        connection.write_all(line.as_bytes()).await?;
    }
    Ok(())
}
