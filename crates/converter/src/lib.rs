//! Ingress and its annotations to Gateway API objects: pure and total.
