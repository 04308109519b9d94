//! One incremental engine for both pure steps: what is computed from objects is kept until an object that was read
//! changes.
//!
//! # The rule
//!
//! A value that is kept from run to run is computed from a [`View`], and from nothing else that can change. The view
//! holds the objects in a private field: each way to an object notes what was read, so that a computation that is given
//! the view alone cannot read around it. Some ways to break the rule stay open, and a review looks for them: a value
//! from outside that a closure captures, and an index over objects that is asked without [`View::note`].
//!
//! ```compile_fail,E0616
//! fn around(view: &tracked::View<'_>) -> usize {
//!     view.resources.services.len()
//! }
//! ```
//!
//! # The parts
//!
//! - [`Changes`] says what became of objects since the last run. [`Changes::join`] compares addresses: an object that
//!   did not change must be the same `Arc` as before.
//! - [`Topic`] is what can change, as fine as a question can be: one object, all objects of a kind, the policies that
//!   name a target, ReferenceGrants.
//! - [`View`] answers questions and notes their topics as [`Read`]s.
//! - [`Memo`] keeps values by key, each with its reads, and an index from topics to keys. [`Memo::stale`] leads from
//!   changes to the keys whose values may be others now; nothing else is looked at.
//!
//! # Why changes lead to readers
//!
//! The other way is to ask every kept value whether its reads still have the same answers. That costs a walk over all
//! values for each change, one cache miss after another: with 20,000 routes it was most of the time of a change (see
//! `docs/performance.md`). The index costs one entry for each read, and a change costs as many steps as it has readers.
//!
//! ReferenceGrants are the exception: they are few, and each may concern many. Who has asked whether a reference is
//! permitted is asked again when any grant changes, and only those that get another answer are stale.
//!
//! # How to keep a value
//!
//! ```
//! use api::{ObjectKey, Resources, yaml};
//! use k8s_openapi::api::core::v1::Service;
//! use tracked::{Changes, Memo, View};
//!
//! let own = yaml::read("{apiVersion: v1, kind: Service, metadata: {name: a, namespace: x}}").into_resources();
//! let key = ObjectKey::new("x", "a");
//! let mut memo: Memo<&str, bool> = Memo::default();
//!
//! let (resources, _, _) = Changes::join(None, &own, &Resources::default());
//! memo.keep("exists", &View::new(&resources), |view| view.get::<Service>(&key).is_some());
//! assert_eq!(memo.get(&"exists"), Some(&true));
//!
//! let (resources, changes, _) = Changes::join(Some(resources), &Resources::default(), &Resources::default());
//! assert!(memo.stale(&changes, &View::new(&resources)).contains("exists"));
//! ```
//!
//! **Invariant:** no sockets, no clients, no clocks; nothing here knows what the values mean.

mod changes;
mod memo;
mod view;

pub use changes::Changes;
pub use memo::Memo;
pub use view::{Access, Read, Topic, View};

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
