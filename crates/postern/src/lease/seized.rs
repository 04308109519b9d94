//! The Lease in the hands of a command that has something to do before the replicas may go on.
//!
//! By the rules of the Lease itself: it names the command as its holder, for longer than the command may take. A
//! replica that held it sees that at its next renewal and writes no more; the others wait for it to run out.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use super::{CALL, PERIOD, held};

/// Replicas that were there get the Lease back after this long: until then they are gone, if they are to go.
const REST: Duration = Duration::from_secs(15);
/// Attempts to be faster than a holder who renews.
const ATTEMPTS: usize = 10;

/// A Lease that was taken from its holder.
pub(crate) struct Seized {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// A replica held it.
    was_held: bool,
}

impl Seized {
    /// Takes the Lease, for `span`.
    ///
    /// # Errors
    /// The API server does not take it, or somebody else was faster ten times.
    pub(crate) async fn take(
        client: Client,
        (namespace, name): (&str, &str),
        identity: &str,
        span: Duration,
    ) -> kube::Result<Self> {
        let mut seized = Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            was_held: false,
        };
        let mut attempt = 1;
        loop {
            match seized.turn(span).await {
                Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                result => return result.map(|()| seized),
            }
        }
    }

    async fn turn(&mut self, span: Duration) -> kube::Result<()> {
        let before = self.api.get_opt(&self.name).await?;
        let spec = before.as_ref().and_then(|lease| lease.spec.as_ref());
        self.was_held = is_held(spec);
        let spec = Some(taken(spec, &self.identity, span, Timestamp::now()));
        let parameters = PostParams::default();
        match before {
            Some(before) => {
                let lease = Lease { spec, ..before };
                self.api.replace(&self.name, &parameters, &lease).await?;
            }
            None => {
                let metadata = ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                };
                let lease = Lease { metadata, spec };
                self.api.create(&parameters, &lease).await?;
            }
        }
        Ok(())
    }

    /// After this long a replica that held the Lease begins no write any more.
    pub(crate) const fn quiet_after(&self) -> Duration {
        if self.was_held {
            PERIOD.saturating_add(CALL)
        } else {
            Duration::ZERO
        }
    }

    /// Gives the Lease back: to nobody in particular, or to replicas that are still there in a while.
    ///
    /// # Errors
    /// The API server does not take it.
    pub(crate) async fn give_back(self) -> kube::Result<()> {
        let mut lease = self.api.get(&self.name).await?;
        if let Some(spec) = lease
            .spec
            .as_mut()
            .filter(|spec| spec.holder_identity.as_deref() == Some(&*self.identity))
        {
            let rest = if self.was_held {
                REST
            } else {
                Duration::from_secs(1)
            };
            spec.lease_duration_seconds = seconds(rest);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            if !self.was_held {
                spec.holder_identity = None;
            }
            let parameters = PostParams::default();
            self.api.replace(&self.name, &parameters, &lease).await?;
        }
        Ok(())
    }
}

fn is_held(lease: Option<&LeaseSpec>) -> bool {
    let holder = lease.and_then(|lease| lease.holder_identity.as_deref());
    holder.is_some_and(|holder| !holder.is_empty())
}

fn taken(before: Option<&LeaseSpec>, identity: &str, span: Duration, now: Timestamp) -> LeaseSpec {
    LeaseSpec {
        lease_duration_seconds: seconds(span),
        ..held(before, identity, now)
    }
}

/// A Lease lasts for whole seconds.
fn seconds(span: Duration) -> Option<i32> {
    i32::try_from(span.as_secs().max(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::{super::Step, super::step, *};

    #[test]
    fn who_held_the_lease_stops_and_others_wait_until_it_runs_out() {
        let now = Timestamp::now();
        let before = held(None, "replica", now);
        assert!(is_held(Some(&before)));
        let seized = taken(Some(&before), "command", Duration::from_secs(120), now);
        let wait = |unchanged| step(Some(&seized), "replica", Duration::from_secs(unchanged));
        assert_eq!((wait(0), wait(119)), (Step::Wait, Step::Wait));
        assert_eq!(wait(120), Step::Take, "the command is lost");
    }

    #[test]
    fn a_lease_that_no_one_holds_is_given_back_at_once() {
        assert!(!is_held(None));
        let free = LeaseSpec {
            holder_identity: Some(String::new()),
            ..LeaseSpec::default()
        };
        assert!(!is_held(Some(&free)) && !is_held(Some(&LeaseSpec::default())));
    }
}
