//! The requests that semaphores are made of. Each may be repeated: whether an answer came is all that can differ.

use etcd_client::{
    Client, Compare, CompareOp, Error, GetOptions, GetResponse, KeyValue, PutOptions, Txn, TxnOp,
    TxnOpResponse,
};

use crate::client::kv;
use crate::keys::{Keys, Kind, PlaceId, number};

/// The state of one semaphore at a revision.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) revision: i64,
    pub(crate) limit: Option<u32>,
    /// In order: who it is, since when, how many permits.
    pub(crate) places: Vec<(PlaceId, i64, u32)>,
}

impl Snapshot {
    fn new<'a>(keys: &Keys, revision: i64, pairs: impl IntoIterator<Item = &'a KeyValue>) -> Self {
        let mut limit = None;
        let mut places = Vec::new();
        for pair in pairs {
            match keys.kind(pair.key()) {
                Kind::Limit => limit = number(pair.value()),
                Kind::Place(id) => {
                    places.extend(number(pair.value()).map(|n| (id, pair.create_revision(), n)));
                }
                Kind::Foreign => {}
            }
        }
        places.sort_unstable_by_key(|&(id, created, _)| (created, id));
        Self { revision, limit, places }
    }

    /// How many permits were asked for, by all.
    pub(crate) fn demand(&self) -> u64 {
        self.places.iter().map(|&(_, _, weight)| u64::from(weight)).sum()
    }
}

/// A limit, and when it was set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) permits: u32,
    pub(crate) revision: i64,
    /// When the semaphore was created.
    pub(crate) created: i64,
}

impl Limit {
    fn of(pairs: &[KeyValue]) -> Option<Self> {
        let pair = pairs.first()?;
        let (revision, created) = (pair.mod_revision(), pair.create_revision());
        Some(Self { permits: number(pair.value())?, revision, created })
    }
}

fn revision(header: Option<&etcd_client::ResponseHeader>) -> i64 {
    header.map_or(0, etcd_client::ResponseHeader::revision)
}

fn gets(answers: Vec<TxnOpResponse>) -> impl Iterator<Item = GetResponse> {
    answers.into_iter().filter_map(|answer| match answer {
        TxnOpResponse::Get(get) => Some(get),
        _ => None,
    })
}

/// The whole line. Linearizable, as all reads here are: what others have seen is in it.
pub(crate) async fn snapshot(client: Client, keys: &Keys) -> Result<Snapshot, Error> {
    let all = GetOptions::new().with_prefix();
    let answer = kv(&client).get(keys.base(), Some(all)).await?;
    Ok(Snapshot::new(keys, revision(answer.header()), answer.kvs()))
}

/// The limit, if the semaphore exists.
pub(crate) async fn limit(mut client: Client, keys: &Keys) -> Result<Option<Limit>, Error> {
    Ok(Limit::of(client.get(keys.limit(), None).await?.kvs()))
}

/// Creates a semaphore if there is none, and returns the limit that it has.
pub(crate) async fn create(mut client: Client, keys: &Keys, permits: u32) -> Result<u32, Error> {
    let key = keys.limit();
    let txn = Txn::new()
        .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
        .and_then([TxnOp::put(key.as_str(), permits.to_string(), None)])
        .or_else([TxnOp::get(key, None)]);
    let answer = client.txn(txn).await?;
    let found = gets(answer.op_responses()).next().and_then(|get| Limit::of(get.kvs()));
    Ok(found.map_or(permits, |found| found.permits))
}

/// Sets the limit, if it is still the one of that revision; returns when it was set.
pub(crate) async fn change_limit(
    mut client: Client,
    keys: &Keys,
    found: i64,
    permits: u32,
) -> Result<Option<i64>, Error> {
    let key = keys.limit();
    let txn = Txn::new()
        .when([Compare::mod_revision(key.as_str(), CompareOp::Equal, found)])
        .and_then([TxnOp::put(key, permits.to_string(), None)]);
    let answer = client.txn(txn).await?;
    Ok(answer.succeeded().then(|| revision(answer.header())))
}

/// Removes a semaphore that nobody uses, if it is the one that was created at that revision; returns whether it did.
pub(crate) async fn remove(mut client: Client, keys: &Keys, created: i64) -> Result<bool, Error> {
    let key = keys.limit();
    // A request that arrives late must not remove what was created since.
    let same = Compare::create_revision(key.as_str(), CompareOp::Equal, created);
    // Of no key at all, etcd compares zero.
    let unused = Compare::create_revision(keys.line(), CompareOp::Equal, 0).with_prefix();
    let txn = Txn::new().when([same, unused]).and_then([TxnOp::delete(key, None)]);
    Ok(client.txn(txn).await?.succeeded())
}

/// Takes a place in the line, and returns its creation revision. A repeated request keeps the place that the one before
/// it made.
///
/// It is a plain put. What a transaction could compare is known without: the watch shows a limit that fell before it shows
/// the place. And of requests that compare, etcd 3.4 serves fewer a second (see the benchmark in the README).
pub(crate) async fn join(
    mut client: Client,
    keys: &Keys,
    id: PlaceId,
    weight: u32,
    is_repeated: bool,
) -> Result<i64, Error> {
    let mut options = PutOptions::new().with_lease(id.session.0);
    if is_repeated {
        options = options.with_prev_key();
    }
    let answer = client.put(keys.place(id), weight.to_string(), Some(options)).await?;
    let before = answer.prev_key().map(KeyValue::create_revision);
    Ok(before.unwrap_or_else(|| revision(answer.header())))
}

/// Whether a place is there, and was created at that revision.
pub(crate) async fn is_there(
    mut client: Client,
    keys: &Keys,
    id: PlaceId,
    created: i64,
) -> Result<bool, Error> {
    let answer = client.get(keys.place(id), None).await?;
    Ok(answer.kvs().first().is_some_and(|pair| pair.create_revision() == created))
}

/// Deletes a place that nobody needs any more, and returns how many keys that were: one, or none if it was gone.
pub(crate) async fn delete(mut client: Client, key: &str) -> Result<i64, Error> {
    Ok(client.delete(key, None).await?.deleted())
}

/// Deletes several at once.
pub(crate) async fn delete_all(mut client: Client, keys: &[String]) -> Result<(), Error> {
    let ops: Vec<_> = keys.iter().map(|key| TxnOp::delete(key.as_str(), None)).collect();
    client.txn(Txn::new().and_then(ops)).await.map(drop)
}
