//! Echo backends, certificates and the golden-file harness. For tests only.
