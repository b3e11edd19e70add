//! What a session is made with.

use std::fmt;
use std::time::Duration;

use etcd_client::ConnectOptions;

use crate::error::Error;
use crate::keys;

/// How a session reaches etcd, and how long its lease lives.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let options = semafair_etcd::Options::new(["http://10.0.0.1:2379", "http://10.0.0.2:2379"])
///     .ttl(Duration::from_secs(15))
///     .namespace("payments");
/// ```
#[derive(Clone)]
#[must_use]
pub struct Options {
    pub(crate) endpoints: Vec<String>,
    pub(crate) ttl: Duration,
    pub(crate) namespace: String,
    pub(crate) patience: Duration,
    pub(crate) connection: ConnectOptions,
}

const LONGEST_TTL: Duration = Duration::from_secs(24 * 60 * 60);

impl Options {
    /// Options for a cluster whose nodes have these addresses, such as `http://127.0.0.1:2379`.
    ///
    /// Calls go to the first one. When it does not answer, they go to the next.
    pub fn new<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            ttl: Duration::from_secs(10),
            namespace: "semafair".to_owned(),
            patience: Duration::from_secs(10),
            connection: ConnectOptions::new(),
        }
    }

    /// How long the lease of the session lives without a renewal: in whole seconds, at most a day. 10 seconds by
    /// default.
    ///
    /// When a process crashes, its permits come back after this time, or later if etcd changes its leader meanwhile. While
    /// etcd cannot be reached, a permit is good for nine tenths of it. etcd raises it to one and a half times its election timeout, which is 2 seconds
    /// unless that was configured. An attempt at a request may take a fifth of it, at most 2 seconds.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// What the keys begin with; `semafair` by default. It may have several parts, with slashes between them.
    ///
    /// Nothing else may write keys there.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long `connect`, `open`, `open_existing`, `try_acquire`, `set_limit`, `remove` and `close` go on trying while etcd
    /// gives no answer; 10 seconds by default. It should be several times what an attempt may take (see
    /// [`ttl`](Self::ttl)), so that another node can be asked. How long to wait for a permit is up to whoever waits.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What etcd's client needs besides: a user and password; TLS, for which its feature `tls` has to be on. Its timeouts
    /// and keep-alives are set by the session.
    pub fn connection(mut self, connection: ConnectOptions) -> Self {
        self.connection = connection;
        self
    }

    /// # Errors
    ///
    /// `InvalidOptions`
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::InvalidOptions(text));
        if self.endpoints.is_empty() {
            return invalid("there are no endpoints".to_owned());
        }
        if let Some(bad) = self.endpoints.iter().find(|endpoint| !is_address(endpoint)) {
            return invalid(format!("{bad:?} is no address such as http://127.0.0.1:2379"));
        }
        if self.ttl.is_zero() || self.ttl.subsec_nanos() != 0 || self.ttl > LONGEST_TTL {
            return invalid(format!(
                "a lease lives for whole seconds, from 1 to {}, not for {:?}",
                LONGEST_TTL.as_secs(),
                self.ttl
            ));
        }
        if self.patience.is_zero() {
            return invalid("without patience there is no time for an answer".to_owned());
        }
        for part in self.namespace.split('/') {
            if let Err(reason) = keys::check(part) {
                return invalid(format!("{part:?} in the namespace: {reason}"));
            }
        }
        Ok(())
    }
}

fn is_address(endpoint: &str) -> bool {
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        let host = rest.trim_end_matches('/');
        !host.is_empty() && !host.contains(['/', ' ', '?', '#'])
    })
}

impl fmt::Debug for Options {
    /// Without what is only for etcd's client, which may have a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("endpoints", &self.endpoints)
            .field("ttl", &self.ttl)
            .field("namespace", &self.namespace)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::options::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let fine = || Options::new(["http://127.0.0.1:2379"]);
        let seconds = Duration::from_secs;
        assert!(fine().check().is_ok());
        assert!(fine().namespace("team/payments").ttl(seconds(1)).check().is_ok());
        for bad in [
            Options::new([""; 0]),
            Options::new(["127.0.0.1:2379"]),
            Options::new(["http://"]),
            Options::new(["http://a b"]),
            fine().ttl(Duration::ZERO),
            fine().ttl(Duration::from_millis(1500)),
            fine().ttl(seconds(86_401)),
            fine().patience(Duration::ZERO),
            fine().namespace(""),
            fine().namespace("/a"),
            fine().namespace("a//b"),
            fine().namespace("a b"),
        ] {
            let error = bad.check().unwrap_err();
            assert!(matches!(error, Error::InvalidOptions(_)), "{bad:?}");
            println!("{error}");
        }
    }
}
