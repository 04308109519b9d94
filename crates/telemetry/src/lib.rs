//! Traces, metrics and access log.
