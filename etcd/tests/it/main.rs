//! What `semafair-etcd` promises, with real nodes of etcd on this machine.

mod support;

mod auth;
mod contract;
mod examples;
mod faults;
mod outages;
mod regressions;
mod runtimes;
mod worker;
