//! The names of the keys in etcd.
//!
//! ```text
//! NAMESPACE/NAME/limit               how many permits the semaphore has, in decimal
//! NAMESPACE/NAME/line/SESSION/NUMBER how many permits a request is for; its creation revision is its place
//! ```

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

const LONGEST: usize = 128;

/// A session, as etcd knows it: its lease. A session that lost its lease goes on under another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) i64);

impl fmt::Display for SessionId {
    /// In hexadecimal, as `etcdctl` shows leases.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// One request in the line. No two requests of the fleet have the same, at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlaceId {
    pub(crate) session: SessionId,
    pub(crate) number: u64,
}

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Limit,
    Place(PlaceId),
    /// Not one of ours.
    Foreign,
}

/// The keys of one semaphore.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    name: String,
    /// All keys of the semaphore begin with it, and no others: it ends with a slash, and no name has one.
    base: String,
}

impl Keys {
    /// # Errors
    ///
    /// `InvalidName`
    pub(crate) fn new(namespace: &str, name: &str) -> Result<Self, Error> {
        check(name).map_err(|reason| Error::InvalidName { name: name.to_owned(), reason })?;
        Ok(Self { name: name.to_owned(), base: format!("{namespace}/{name}/") })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn limit(&self) -> String {
        format!("{}limit", self.base)
    }

    pub(crate) fn line(&self) -> String {
        format!("{}line/", self.base)
    }

    pub(crate) fn place(&self, id: PlaceId) -> String {
        format!("{}line/{}/{}", self.base, id.session, id.number)
    }

    pub(crate) fn kind(&self, key: &[u8]) -> Kind {
        let rest = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(&self.base));
        match rest {
            Some("limit") => Kind::Limit,
            Some(rest) => {
                rest.strip_prefix("line/").and_then(place).map_or(Kind::Foreign, Kind::Place)
            }
            None => Kind::Foreign,
        }
    }
}

fn place(text: &str) -> Option<PlaceId> {
    let (session, number) = text.split_once('/')?;
    let session = SessionId(i64::from_str_radix(session, 16).ok()?);
    Some(PlaceId { session, number: number.parse().ok()? })
}

/// A number in a value, if it is one that we would have written.
pub(crate) fn number<N: FromStr>(value: &[u8]) -> Option<N> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// What is wrong with a name, or with a part of a namespace.
pub(crate) fn check(name: &str) -> Result<(), &'static str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "-_.:@".contains(c);
    if name.is_empty() {
        Err("it is empty")
    } else if name.len() > LONGEST {
        Err("it has more than 128 bytes")
    } else if !name.chars().all(is_fine) {
        Err("letters and digits of ASCII and -_.:@ are allowed")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::keys::*;

    #[test]
    fn keys_are_read_as_they_were_written() {
        let keys = Keys::new("semafair", "api").unwrap();
        let id = PlaceId { session: SessionId(0x694d_8a2b_3c4d_5e6f), number: 17 };
        assert_eq!(keys.place(id), "semafair/api/line/694d8a2b3c4d5e6f/17");
        assert_eq!(keys.kind(keys.place(id).as_bytes()), Kind::Place(id));
        assert_eq!(keys.kind(keys.limit().as_bytes()), Kind::Limit);
        for foreign in [
            "semafair/api/line/",
            "semafair/api/line/zz/1",
            "semafair/api/line/1",
            "semafair/api/line/1/-1",
            "semafair/api/line/1/1/1",
            "semafair/api2/limit",
            "semafair/api/limits",
        ] {
            assert_eq!(keys.kind(foreign.as_bytes()), Kind::Foreign, "{foreign}");
        }
        assert_eq!(keys.kind(b"semafair/api/\xff"), Kind::Foreign);
    }

    #[test]
    fn names_are_checked() {
        for fine in ["api", "a.b-c_d:e@f", &"x".repeat(128)] {
            assert!(Keys::new("semafair", fine).is_ok(), "{fine}");
        }
        for bad in ["", "a/b", "a b", "ä", "a\0", &"x".repeat(129)] {
            let error = Keys::new("semafair", bad).unwrap_err();
            assert!(matches!(error, Error::InvalidName { .. }), "{error}");
        }
    }
}
