//! In place of `trace`, without the feature `tracing`: nothing.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::panic::Location;
use core::task::Poll;

use crate::semaphore::Semaphore;

#[derive(Debug)]
pub(super) struct Resource;

#[derive(Debug)]
pub(super) struct Returned;

#[derive(Debug)]
pub(super) struct Op;

#[derive(Debug)]
pub(super) struct OpRef;

impl Resource {
    pub(super) const fn new(_: &str, _: &Arc<Semaphore>, _: &'static Location<'static>) -> Self {
        Self
    }

    pub(super) const fn show(&self) {}

    pub(super) const fn show_all(&self) {}

    pub(super) const fn op(
        &self,
        _source: &'static str,
        _site: &'static Location<'static>,
        _label: &Option<Cow<'static, str>>,
        _permits: usize,
    ) -> Op {
        Op
    }

    pub(super) const fn returned(&self) -> Returned {
        Returned
    }
}

impl Returned {
    pub(super) const fn forgotten(self) {}
}

impl Op {
    pub(super) const fn none() -> Self {
        Self
    }

    pub(super) const fn is_traced(&self) -> bool {
        false
    }

    pub(super) const fn downgrade(&self) -> OpRef {
        OpRef
    }

    pub(super) fn poll(
        &mut self,
        poll: impl FnOnce() -> Poll<()>,
        _obtained: impl Fn() -> usize,
    ) -> Poll<()> {
        poll()
    }

    pub(super) const fn show_label(&self, _label: &str) {}
}

impl OpRef {
    pub(super) fn show(&self, _obtained: impl Fn() -> usize) {}
}
