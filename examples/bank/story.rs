//! The story itself, and the only place that knows of the semaphore.

use std::convert::Infallible;
use std::fmt::Display;
use std::io::{self, Write};
use std::process;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Zoned;
use semafair::Semaphore;
use tokio::signal::ctrl_c;
use tokio::task::JoinSet;

use crate::INTERRUPTED;
use crate::day::{Day, Visit};
use crate::options::Options;

/// Opens the bank, lets the customers in, and returns when the last of them has gone.
pub(crate) async fn tell(options: &Options) -> io::Result<Day> {
    let tellers = Arc::new(Semaphore::new(options.tellers.into()));
    let opened = Arc::new(OnceLock::new());

    let mut customers = JoinSet::new();
    for (customer, service) in (1..=options.customers).zip(options.services()) {
        customers.spawn(visit(customer, service, tellers.clone(), opened.clone()));
    }
    let all_gone = async {
        let mut visits = Vec::new();
        while let Some(visit) = customers.join_next().await {
            visits.push(visit??);
        }
        io::Result::Ok(visits)
    };
    let mut visits = tokio::select! {
        // In this order, Ctrl-C is listened to before the first customer comes in.
        biased;
        Err(error) = close_on_ctrl_c(&tellers) => return Err(error),
        visits = all_gone => visits?,
    };
    visits.sort_unstable_by_key(|visit| visit.customer);

    let day = Day {
        tellers: options.tellers,
        seed: options.seed,
        closed_early: tellers.is_closed(),
        visits,
    };
    if day.closed_early {
        let (served, left) = day.served_and_left();
        say(format_args!("The bank has closed: {served} served, {left} left unserved."))?;
    } else {
        say("All customers have been served.")?;
    }
    Ok(day)
}

/// One customer, from coming in to going.
async fn visit(
    customer: u32,
    service: Duration,
    tellers: Arc<Semaphore>,
    opened: Arc<OnceLock<Instant>>,
) -> io::Result<Visit> {
    say(format_args!("Customer {customer} is waiting for a teller."))?;
    // The bank opens when the first customer comes in. What takes time before that, such as loading
    // the time zone for the first line of the log, delays nobody.
    let now = Instant::now();
    let opened = *opened.get_or_init(|| now);
    let came = now - opened;
    // The place in the line is taken at the first poll. Nothing is awaited between the line that
    // was just said and that poll, so the log and the line cannot disagree.
    let teller = tellers.acquire().await;
    let called = opened.elapsed();

    let service = match teller {
        // A teller may have been found just before the bank closed: that is too late as well.
        Ok(_teller) if !tellers.is_closed() => {
            say(format_args!("Customer {customer} is being served by a teller."))?;
            tokio::time::sleep(service).await;
            say(format_args!("Customer {customer} is done being served."))?;
            Some(service)
            // `_teller` is dropped here, after the customer is done, and serves the next.
        }
        _ => {
            say(format_args!("Customer {customer} leaves: the bank has closed."))?;
            None
        }
    };
    Ok(Visit { customer, came, called, gone: opened.elapsed(), service })
}

/// Closes the bank at the first Ctrl-C, and the program at the second. Returns only an error.
async fn close_on_ctrl_c(tellers: &Semaphore) -> io::Result<Infallible> {
    ctrl_c().await?;
    say("The bank closes. Ctrl-C again ends the program at once.")?;
    tellers.close();
    ctrl_c().await?;
    process::exit(INTERRUPTED.into())
}

/// Prints a line of the log.
///
/// Unlike `println!`, this does not panic when nobody reads the output any more.
fn say(what: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{}: {what}", Zoned::now().strftime("%H:%M:%S"))
}
