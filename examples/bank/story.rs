//! The story itself, and the only place that knows of the semaphore.

use std::io::{self, Write};
use std::pin::pin;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Zoned;
use semafair::{Semaphore, Status};
use tokio::signal::ctrl_c;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::INTERRUPTED;
use super::day::{Day, Event};
use super::options::Options;

/// A bank, and the day so far.
pub(crate) struct Bank {
    tellers: Semaphore,
    opened: OnceLock<Instant>,
    day: Mutex<Day>,
    /// Lets no more customers in.
    closing: Notify,
    /// Whether each event is a line of the log, too.
    log: bool,
}

impl Bank {
    pub(crate) fn new(options: &Options, log: bool) -> Self {
        let tellers = options.tellers.into();
        Self {
            tellers: Semaphore::new(tellers),
            opened: OnceLock::new(),
            day: Mutex::new(Day::new(tellers, options.customers, options.seed)),
            closing: Notify::new(),
            log,
        }
    }

    /// Lets the customers in, and returns when the last of them has gone.
    ///
    /// The day is broken off when `stop` is ready before.
    pub(crate) async fn open(
        self: &Arc<Self>,
        options: &Options,
        stop: impl Future<Output = io::Result<()>>,
    ) -> io::Result<()> {
        let mut stop = pin!(stop);
        let mut arrivals = options.customers().peekable();
        let mut customers = JoinSet::new();
        let start = Instant::now();
        loop {
            // Those who come at the same moment come together, before any of them is served.
            let next = loop {
                match arrivals.peek() {
                    Some(next) if !self.tellers.is_closed() => {
                        let at = start + next.comes;
                        if at > Instant::now() {
                            break Some(at);
                        }
                    }
                    _ => break None,
                }
                if let Some(next) = arrivals.next() {
                    customers.spawn(visit(self.clone(), next.number, next.service));
                }
            };
            if customers.is_empty() && next.is_none() {
                return Ok(());
            }
            tokio::select! {
                // In this order, Ctrl-C is listened to before the first customer comes in.
                biased;
                stopped = &mut stop => {
                    stopped?;
                    customers.shutdown().await;
                    self.day().break_off(self.now());
                    return Ok(());
                }
                Some(visit) = customers.join_next() => visit??,
                () = sleep_until(next.unwrap_or(start).into()), if next.is_some() => {}
                () = self.closing.notified() => {}
            }
        }
    }

    /// Whoever waits is refused. Who is being served is served to the end.
    pub(crate) fn close(&self) -> io::Result<()> {
        if !self.tellers.is_closed() {
            self.tell(Event::Closes)?;
            self.tellers.close();
            self.closing.notify_one();
        }
        Ok(())
    }

    /// Makes the tellers `count`. Those who are too many go once their customers are done.
    pub(crate) fn set_tellers(&self, count: usize) -> io::Result<()> {
        self.tellers.set_limit(count);
        self.tell(Event::Tellers { count })
    }

    pub(crate) fn status(&self) -> Status {
        self.tellers.status()
    }

    pub(crate) fn day(&self) -> MutexGuard<'_, Day> {
        self.day.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the bank was opened.
    pub(crate) fn now(&self) -> Duration {
        self.opened.get().map(Instant::elapsed).unwrap_or_default()
    }

    fn tell(&self, event: Event) -> io::Result<()> {
        if self.log {
            say(&event.to_string())?;
        }
        // The bank opens when the first customer comes in. What takes time before that, such as loading
        // the time zone for the first line of the log, delays nobody.
        let now = Instant::now();
        let opened = match event {
            Event::Came { .. } => Some(self.opened.get_or_init(|| now)),
            _ => self.opened.get(),
        };
        let now = opened.map_or(Duration::ZERO, |opened| now - *opened);
        self.day().note(now, event);
        Ok(())
    }
}

/// One customer, from coming in to going.
async fn visit(bank: Arc<Bank>, customer: u32, service: Duration) -> io::Result<()> {
    bank.tell(Event::Came { customer })?;
    // The place in the line is taken at the first poll. Nothing is awaited between the line that
    // was just said and that poll, so the log and the line cannot disagree.
    match bank.tellers.acquire().await {
        // A teller may have been found just before the bank closed: that is too late as well.
        Ok(_teller) if !bank.tellers.is_closed() => {
            bank.tell(Event::Called { customer, service })?;
            tokio::time::sleep(service).await;
            bank.tell(Event::Done { customer })
            // `_teller` is dropped here, after the customer is done, and serves the next.
        }
        _ => bank.tell(Event::Left { customer }),
    }
}

/// Closes the bank at the first Ctrl-C, and the program at the second. Returns only an error.
pub(crate) async fn close_on_ctrl_c(bank: &Bank) -> io::Result<()> {
    ctrl_c().await?;
    bank.close()?;
    ctrl_c().await?;
    process::exit(INTERRUPTED.into())
}

/// Prints a line of the log.
///
/// Unlike `println!`, this does not panic when nobody reads the output any more.
pub(crate) fn say(what: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{}: {what}", Zoned::now().strftime("%H:%M:%S"))
}
