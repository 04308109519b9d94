//! The real binary, as a user runs it: every example, every command, changes under load, start and end.
#![allow(clippy::unwrap_used, reason = "tests")]

mod admin;
mod annotations;
mod cli;
mod context;
mod diff;
mod elsewhere;
mod estate;
mod examples;
mod gateway_api;
mod grpc;
mod https;
mod identity;
mod lifecycle;
mod listeners;
mod proxies;
mod readme;
mod reload;
mod rollback;
mod rolling;
mod secrets;
mod state;
mod streams;
mod support;
