//! What `semafair-etcd` promises, with real nodes of etcd on this machine.

mod support;

mod auth;
/// Early by its name, since one of its tests takes longest: others run beside it.
mod away;
mod contract;
mod examples;
mod faults;
mod regressions;
mod runtimes;
mod worker;
