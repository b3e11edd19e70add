//! stub
mod bank;
