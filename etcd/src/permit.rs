//! What was acquired.

use std::fmt;

use crate::error::Error;
use crate::place::Place;
use crate::session::Session;

/// Permits of a semaphore, for as long as the lease of their session lives.
///
/// Dropping it releases them in the background: the key is deleted as soon as etcd answers, and at the latest when
/// the lease ends. [`release`](Permit::release) waits until it is done.
///
/// # What it is good for, and what not
///
/// Whoever has a permit may be suspended at any instruction, for longer than the lease lives, and go on without knowing
/// that others have its permits now. No lease can prevent that. So look at [`is_lost`](Permit::is_lost) before each
/// step, stop when [`lost`](Permit::lost) says so, and where a step too many does harm, let the resource itself
/// check the [`fence`](Permit::fence).
#[must_use = "the permits are released when this is dropped"]
pub struct Permit {
    place: Place,
    /// The session lives as long as its permits.
    _session: Session,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("permits", &self.permits())
            .field("fence", &self.fence())
            .field("is_lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

impl Permit {
    pub(crate) fn new(place: Place, session: Session) -> Self {
        Self { place, _session: session }
    }

    /// How many permits it is for.
    #[must_use]
    pub fn permits(&self) -> u32 {
        self.place.weight()
    }

    /// A number that is larger than that of every permit of the same semaphore which was granted before, in the whole
    /// fleet: the revision of etcd at which the request took its place.
    ///
    /// Send it along with each step. A resource that only one may use at a time refuses a step with a number below
    /// the largest that it has seen: so a holder whose lease was lost can do no harm after its successor has begun.
    ///
    /// That rule needs one holder at a time, and so a limit of one; or a limit of several with one resource for each,
    /// such as numbered slots, each of which remembers its largest number. Where several hold permits for the same
    /// resource, a smaller number is no sign of a lost lease: [`verify`](Permit::verify) asks etcd instead.
    ///
    /// If etcd is restored from a backup, the numbers begin anew at that of the backup; see the docs of the crate.
    #[must_use]
    pub fn fence(&self) -> i64 {
        self.place.created()
    }

    /// Whether the lease may have expired, by a clock of this machine that goes on in suspend; or the permit is known
    /// to be gone.
    ///
    /// It asks nobody. Once true, it stays true. The clock counts from when the last renewal that was answered had been
    /// sent, and stops a tenth of the lease's lifetime before etcd can.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.place.is_lost()
    }

    /// Waits until the permit is lost. Run the work beside it, and drop the work when it ends first.
    ///
    /// After a suspend of the machine it may need a tenth of the lease's lifetime to notice; `is_lost` needs none.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing, and may be dropped and called again.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn work() {}
    /// # async fn run(permit: semafair_etcd::Permit) {
    /// tokio::select! {
    ///     () = permit.lost() => eprintln!("others may have the permit now"),
    ///     () = work() => {}
    /// }
    /// # }
    /// ```
    pub async fn lost(&self) {
        self.place.lost().await;
    }

    /// Asks etcd whether the permit is still there, by a linearizable read: it was, at some moment during the call.
    ///
    /// While etcd does not answer it goes on asking, until the lease is lost.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped and called again.
    ///
    /// # Errors
    ///
    /// - `Lost`: it is not. `is_lost` is true from now on.
    /// - `Closed`: the session was closed.
    /// - `Refused`: etcd does not let this user read.
    pub async fn verify(&self) -> Result<(), Error> {
        self.place.verify().await
    }

    /// Releases the permits, and waits until etcd has confirmed it.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the permits are released in the background.
    ///
    /// # Errors
    ///
    /// - `Lost`, `Closed`: the lease was lost before etcd had confirmed it, or the permits were gone already. So others
    ///   may have had them.
    /// - `Refused`: etcd does not let this user write. The permits come back when the lease ends.
    pub async fn release(self) -> Result<(), Error> {
        self.place.give_up().await
    }
}
