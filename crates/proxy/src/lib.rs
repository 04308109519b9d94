//! The data plane: hyper and rustls, one worker per core.
