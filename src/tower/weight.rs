//! How many permits a request needs.

/// How many permits a request of the type `R` needs.
///
/// Functions from `&R` to `u32` are weights. A type of your own is for where the type of the service must be
/// written down; so is a function pointer, `fn(&R) -> u32`.
///
/// # Examples
///
/// ```
/// use semafair::tower::{OnePermit, Weight};
///
/// assert_eq!(OnePermit.permits(&"request"), 1);
///
/// let bytes = |request: &String| u32::try_from(request.len()).unwrap_or(u32::MAX);
/// assert_eq!(bytes.permits(&"request".to_owned()), 7);
/// ```
pub trait Weight<R> {
    /// Returns how many permits `request` needs.
    ///
    /// With 0 it does not wait, even behind others. If it exceeds the permits that there will ever be, the request waits for
    /// ever, and so do all behind it; [`Builder::fail_oversized`](crate::Builder::fail_oversized)
    /// refuses it instead.
    fn permits(&self, request: &R) -> u32;
}

/// Each request needs one permit.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnePermit;

impl<R> Weight<R> for OnePermit {
    fn permits(&self, _: &R) -> u32 {
        1
    }
}

impl<R, F: Fn(&R) -> u32> Weight<R> for F {
    fn permits(&self, request: &R) -> u32 {
        self(request)
    }
}
