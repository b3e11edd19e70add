//! As much of a client of HTTP/1.1 as it takes to be a difficult one.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// One connection.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In lower case.
    headers: Vec<String>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(TcpStream::connect(address).await?) })
    }

    /// Sends a request that has no body, or all of it.
    pub(super) async fn send(&mut self, line: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let request =
            format!("{line} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n{body}");
        self.stream.write_all(request.as_bytes()).await
    }

    /// Says that a body of this length would follow, and sends none of it: [`body`](Self::body) does, when the
    /// answer is 100. Otherwise the server might end the connection, with the answer, while it is sent.
    pub(super) async fn offer(&mut self, line: &str, length: usize) -> io::Result<()> {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes()).await
    }

    /// Sends this part of a body.
    pub(super) async fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads an answer, to its end.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof`, or what the system says, if the connection ends before the answer does.
    pub(super) async fn answer(&mut self) -> io::Result<Answer> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await?;
            match line.strip_suffix("\r\n") {
                Some("") => break,
                Some(line) => head.push(line.to_lowercase()),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let headers = head.split_off(1);
        let status = head[0].split(' ').nth(1).expect("there is a status");
        let status = status.parse().expect("the status is a number");
        let mut answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().expect("the length is a number")];
        self.stream.read_exact(&mut body).await?;
        answer.body = String::from_utf8(body).expect("the body is text");
        Ok(answer)
    }
}
