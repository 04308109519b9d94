//! Gateway API semantics: objects in, IR and status out. Pure and total.
