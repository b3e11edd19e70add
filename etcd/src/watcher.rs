//! The task that brings the events of all lines which this process uses, through one stream.
//!
//! The field's client does not bring a broken stream back. Each line knows up to which revision it has seen events;
//! so a new stream starts at the next. If those events were thrown away by a compaction, the whole line is read. So it is if
//! etcd has gone back, since its data was restored from a backup: what it does next has revisions that were seen before.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use etcd_client::{Event, EventType, ResponseHeader, WatchOptions, WatchResponse, WatchStream};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use crate::client::{Failure, Pauses, watcher};
use crate::keys::{Keys, Kind, SessionId, number};
use crate::mirror::Change;
use crate::queue::Queue;
use crate::requests;
use crate::shared::{Follow, Shared};

pub(crate) async fn watch(shared: Arc<Shared>, inbox: mpsc::UnboundedReceiver<Follow>) {
    let closing = shared.closing.clone();
    let mut watcher = Watcher { shared, inbox, lines: BTreeMap::new(), next: 1, kept: Vec::new() };
    tokio::select! {
        biased;
        () = closing.cancelled() => {}
        () = watcher.run() => {}
    }
}

struct Line {
    queue: Weak<Queue>,
    /// Whether it has to be read as a whole, since etcd has ended its watch: events may be missing; or the token of the
    /// user is not valid any more, which a watch does not get anew, and a read does. Or since etcd has gone back.
    has_gap: bool,
    /// How often that had no answer in time.
    unanswered: usize,
}

struct Watcher {
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Follow>,
    /// By what etcd calls their watches.
    lines: BTreeMap<i64, Line>,
    next: i64,
    /// Lines that are watched although nobody uses them, for as long as that lease lives.
    kept: Vec<(Arc<Queue>, SessionId)>,
}

impl Watcher {
    async fn run(&mut self) {
        let mut pauses = Pauses::new();
        loop {
            while self.lines.is_empty() {
                let Some(follow) = self.inbox.recv().await else { return };
                self.follow(follow);
            }
            let started = Instant::now();
            let node = *self.shared.client.current().borrow();
            if let Err(failure) = self.stream().await {
                // The next attempt goes elsewhere; if there is but one node, to that.
                if matches!(failure, Failure::Unanswered(_)) {
                    self.shared.client.leave_node(node);
                }
                if started.elapsed() > Duration::from_secs(1) {
                    pauses = Pauses::new();
                }
                pauses.pause().await;
            }
        }
    }

    /// Lets go of what was kept for the sake of an earlier lease.
    fn keep_for(&mut self, session: Option<SessionId>) {
        self.kept.retain(|(_, of)| Some(*of) == session);
    }

    /// Adds a line, and returns what its watch is called if it is to be watched from now on.
    fn follow(&mut self, follow: Follow) -> Option<i64> {
        let session = self.shared.id();
        self.keep_for(session);
        match follow {
            Follow::WhileUsed(queue) => {
                let id = self.next;
                self.next += 1;
                self.lines.insert(id, Line { queue, has_gap: false, unanswered: 0 });
                Some(id)
            }
            Follow::WhileLeased(queue, of) => {
                let is_kept = self.kept.iter().any(|(kept, _)| Arc::ptr_eq(kept, &queue));
                if Some(of) == session && !is_kept {
                    self.kept.push((queue, of));
                }
                None
            }
        }
    }

    fn queue(&self, id: i64) -> Option<Arc<Queue>> {
        self.lines.get(&id)?.queue.upgrade()
    }

    /// Watches all lines that may be read, until the stream breaks, the last line is unused, or it is time to ask again for
    /// those that may not.
    async fn stream(&mut self) -> Result<(), Failure> {
        // As long as none of the others may be read, no stream takes in what comes.
        while let Ok(follow) = self.inbox.try_recv() {
            self.follow(follow);
        }
        self.keep_for(self.shared.id());
        self.lines.retain(|_, line| line.queue.strong_count() > 0);
        let refusal = self.read_gaps().await?;
        let read = self.lines.iter().filter(|(_, line)| !line.has_gap);
        let mut ids = read.map(|(&id, _)| id).collect::<Vec<_>>().into_iter();
        let Some((first, queue)) = ids.by_ref().find_map(|id| Some((id, self.queue(id)?))) else {
            return refusal.map_or(Ok(()), |error| Err(Failure::Refused(error)));
        };
        let options = &options(first, &queue);
        let base = queue.keys().base();
        let mut node = self.shared.client.current();
        node.mark_unchanged();
        let open = |client| async move {
            let options = Some(options.clone());
            watcher(&client).watch(base, options).await
        };
        let mut stream = self.shared.client.call(open).await?;
        for id in ids {
            self.start(id, &mut stream).await?;
        }
        let interval = self.interval();
        let again = Instant::now() + interval;
        let patience = self.shared.client.timeout();
        // When the node was last heard of; whether it was asked to say something since.
        let (mut heard, mut asked) = (Instant::now(), false);
        while !self.lines.is_empty() {
            let silence = if asked { patience } else { interval };
            tokio::select! {
                message = stream.message() => {
                    (heard, asked) = (Instant::now(), false);
                    match message? {
                        Some(message) => self.take(&message, &mut stream).await?,
                        None => return Err(Failure::Unanswered("the watch ended".to_owned())),
                    }
                }
                follow = self.inbox.recv() => {
                    if let Some(id) = follow.and_then(|follow| self.follow(follow)) {
                        self.start(id, &mut stream).await?;
                    }
                }
                // What was refused may be allowed by now.
                () = time::sleep_until(again), if refusal.is_some() => return Ok(()),
                // Another call had no answer: is this stream alive?
                Ok(()) = node.changed(), if !asked => {
                    (heard, asked) = (Instant::now(), true);
                    stream.request_progress().await?;
                }
                () = time::sleep_until(heard + silence) => {
                    if asked {
                        return Err(Failure::Unanswered("the watch is silent".to_owned()));
                    }
                    (heard, asked) = (Instant::now(), true);
                    stream.request_progress().await?;
                }
            }
        }
        Ok(())
    }

    /// How long silence is no reason to ask.
    fn interval(&self) -> Duration {
        self.shared.client.timeout() * 2
    }

    /// Reads the lines that have a gap. Those that may not be read keep it; returns why, if there is one.
    async fn read_gaps(&mut self) -> Result<Option<Arc<etcd_client::Error>>, Failure> {
        let session = self.shared.id();
        let mut refusal = None;
        for line in self.lines.values_mut().filter(|line| line.has_gap) {
            let Some(queue) = line.queue.upgrade() else { continue };
            let call = |client| requests::snapshot(client, queue.keys());
            let client = &self.shared.client;
            let timeout = client.longer_and_longer().nth(line.unanswered).unwrap_or_default();
            let snapshot = match client.call_within(timeout, call).await {
                Ok(snapshot) => snapshot,
                Err(Failure::Refused(error)) => {
                    queue.deny(&error);
                    refusal = Some(error);
                    continue;
                }
                Err(failure) => {
                    line.unanswered += 1;
                    return Err(failure);
                }
            };
            for orphan in queue.reset(snapshot, session) {
                self.shared.sweep(queue.keys().place(orphan));
            }
            (line.has_gap, line.unanswered) = (false, 0);
        }
        Ok(refusal)
    }

    async fn start(&self, id: i64, stream: &mut WatchStream) -> Result<(), Failure> {
        if let Some(queue) = self.queue(id) {
            stream.watch(queue.keys().base(), Some(options(id, &queue))).await?;
        }
        Ok(())
    }

    async fn take(
        &mut self,
        message: &WatchResponse,
        stream: &mut WatchStream,
    ) -> Result<(), Failure> {
        let id = message.watch_id();
        if message.canceled() && id < 0 {
            // A watch that was not made has no name, so it may be that of any line.
            self.lines.values_mut().for_each(|line| line.has_gap = true);
            return Err(cancelled(message));
        }
        if message.events().is_empty() {
            self.check_that_time_goes_on(message)?;
        }
        let Some(line) = self.lines.get_mut(&id) else { return Ok(()) };
        let Some(queue) = line.queue.upgrade() else {
            // Nobody uses it any more.
            self.lines.remove(&id);
            stream.cancel(id).await?;
            return Ok(());
        };
        if message.canceled() {
            line.has_gap = true;
            return Err(cancelled(message));
        }
        let changes = message.events().iter().filter_map(|event| change(queue.keys(), event));
        for orphan in queue.apply(changes, self.shared.id()) {
            self.shared.sweep(queue.keys().place(orphan));
        }
        Ok(())
    }

    /// The first answer to a watch, and each to the question whether the node is alive, say how far etcd is. If it is not as
    /// far as a line has been seen, either this node lags behind, or all have gone back: to read the line decides it.
    fn check_that_time_goes_on(&mut self, message: &WatchResponse) -> Result<(), Failure> {
        let now = message.header().map_or(i64::MAX, ResponseHeader::revision);
        let is_ahead = |line: &Line| line.queue.upgrade().is_some_and(|q| q.revision() > now);
        let mut goes_on = true;
        for line in self.lines.values_mut().filter(|line| is_ahead(line)) {
            (line.has_gap, goes_on) = (true, false);
        }
        if goes_on {
            return Ok(());
        }
        Err(Failure::Unanswered(format!("etcd has gone back to revision {now}")))
    }
}

fn cancelled(message: &WatchResponse) -> Failure {
    Failure::Unanswered(format!("the watch was cancelled: {}", message.cancel_reason()))
}

/// From the first revision that the line has not seen.
fn options(id: i64, queue: &Queue) -> WatchOptions {
    let revision = queue.revision() + 1;
    WatchOptions::new().with_prefix().with_watch_id(id).with_start_revision(revision)
}

/// What an event means, and at which revision it happened.
fn change(keys: &Keys, event: &Event) -> Option<(i64, Change)> {
    let pair = event.kv()?;
    let is_put = event.event_type() == EventType::Put;
    let change = match keys.kind(pair.key()) {
        Kind::Limit if is_put => Change::Limit(number(pair.value())),
        Kind::Limit => Change::Limit(None),
        Kind::Place(id) if is_put => {
            Change::Join { id, created: pair.create_revision(), weight: number(pair.value())? }
        }
        Kind::Place(id) => Change::Leave(id),
        Kind::Foreign => return None,
    };
    Some((pair.mod_revision(), change))
}
