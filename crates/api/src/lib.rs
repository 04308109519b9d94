//! Kubernetes and Gateway API objects, Postern's own kinds, and the collection every pure step reads.
