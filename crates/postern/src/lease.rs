//! The Lease: of all replicas one writes.
//!
//! The usual rules of Kubernetes: the holder renews, others watch for it to stop, and time is only ever measured on
//! one's own clock. A holder that cannot renew stops writing before anybody else may start.

pub(crate) mod seized;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Without a renewal for this long, the Lease is anybody's.
const DURATION: Duration = Duration::from_secs(10);
/// A holder that has not renewed for this long holds it no more.
const RENEW_DEADLINE: Duration = Duration::from_secs(6);
/// Between looks, and between renewals.
const PERIOD: Duration = Duration::from_secs(2);
/// A call that takes longer has failed.
const CALL: Duration = Duration::from_secs(2);

/// A part in the election.
pub(crate) struct Candidacy {
    leader: watch::Receiver<bool>,
    leave: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Candidacy {
    /// Takes part from now on.
    pub(crate) fn start(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        let (sender, leader) = watch::channel(false);
        let leave = Arc::new(Notify::new());
        let candidate = Candidate {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            record: None,
            renewed: None,
            well: true,
            leader: sender,
        };
        let task = tokio::spawn(candidate.run(Arc::clone(&leave)));
        Self {
            leader,
            leave,
            task,
        }
    }

    /// Whether this replica holds the Lease.
    pub(crate) fn leader(&self) -> watch::Receiver<bool> {
        self.leader.clone()
    }

    /// Gives the Lease back, so that nobody has to wait for it.
    pub(crate) async fn leave(self) {
        self.leave.notify_one();
        if timeout(CALL * 2, self.task).await.is_err() {
            tracing::warn!("the Lease could not be given back; it runs out");
        }
    }
}

struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// The Lease as last seen, and since when it has been so.
    record: Option<(LeaseSpec, Instant)>,
    renewed: Option<Instant>,
    /// The last turn came about.
    well: bool,
    leader: watch::Sender<bool>,
}

/// What to do about the Lease.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Create,
    Renew,
    Take,
    Wait,
}

/// `unchanged`: for how long the Lease has been as it is.
fn step(lease: Option<&LeaseSpec>, identity: &str, unchanged: Duration) -> Step {
    let Some(lease) = lease else {
        return Step::Create;
    };
    let holder = lease.holder_identity.as_deref().unwrap_or_default();
    let seconds = lease
        .lease_duration_seconds
        .and_then(|s| u64::try_from(s).ok());
    let duration = seconds.map_or(DURATION, Duration::from_secs);
    if holder == identity {
        Step::Renew
    } else if holder.is_empty() || unchanged >= duration {
        Step::Take
    } else {
        Step::Wait
    }
}

/// The Lease in our hands.
fn held(before: Option<&LeaseSpec>, identity: &str, now: Timestamp) -> LeaseSpec {
    let mine = before.filter(|lease| lease.holder_identity.as_deref() == Some(identity));
    let turns = before
        .and_then(|lease| lease.lease_transitions)
        .unwrap_or_default();
    LeaseSpec {
        acquire_time: mine.map_or(Some(MicroTime(now)), |lease| lease.acquire_time.clone()),
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        lease_transitions: Some(turns + i32::from(before.is_some() && mine.is_none())),
        renew_time: Some(MicroTime(now)),
        ..LeaseSpec::default()
    }
}

impl Candidate {
    async fn run(mut self, leave: Arc<Notify>) {
        loop {
            match timeout(CALL, self.turn()).await {
                Ok(Ok(())) => self.well = true,
                Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                    tracing::debug!("another replica wrote the Lease at the same time");
                }
                Ok(Err(error)) => self.trouble(&error),
                Err(_) => self.trouble(&"the API server does not answer"),
            }
            let late = self.renewed.is_none_or(|at| at.elapsed() >= RENEW_DEADLINE);
            if late && self.lead(false) {
                tracing::warn!("the Lease could not be renewed in time: writing stops");
            }
            tokio::select! {
                () = sleep(PERIOD) => {}
                () = leave.notified() => return self.release().await,
            }
        }
    }

    /// Said once: whoever has no Lease writes nothing, and everything else goes on as if nothing were wrong.
    fn trouble(&mut self, error: &dyn std::fmt::Display) {
        if std::mem::replace(&mut self.well, false) {
            tracing::warn!(%error, "the Lease can neither be read nor written; trying again");
        }
    }

    /// Tells whether that is news.
    fn lead(&self, leader: bool) -> bool {
        self.leader
            .send_if_modified(|now| std::mem::replace(now, leader) != leader)
    }

    async fn turn(&mut self) -> kube::Result<()> {
        let lease = self.api.get_opt(&self.name).await?;
        let spec = lease
            .as_ref()
            .map(|lease| lease.spec.clone().unwrap_or_default());
        let unchanged = self.watch(spec.as_ref());
        let step = step(spec.as_ref(), &self.identity, unchanged);
        if step == Step::Wait {
            self.renewed = None;
            if self.lead(false) {
                tracing::warn!("somebody else has taken the Lease: writing stops");
            }
            return Ok(());
        }
        let start = Instant::now();
        let new = Lease {
            metadata: lease.map_or_else(ObjectMeta::default, |lease| lease.metadata),
            spec: Some(held(spec.as_ref(), &self.identity, Timestamp::now())),
        };
        self.put(new, step == Step::Create).await?;
        // Counted from before the call: others may have seen it then.
        self.renewed = Some(start);
        if self.lead(true) {
            tracing::info!(identity = %self.identity, "this replica holds the Lease, and writes");
        }
        Ok(())
    }

    /// For how long the Lease has been as it is.
    fn watch(&mut self, spec: Option<&LeaseSpec>) -> Duration {
        let Some(spec) = spec else {
            self.record = None;
            return Duration::ZERO;
        };
        match &self.record {
            Some((known, since)) if known == spec => since.elapsed(),
            _ => {
                self.record = Some((spec.clone(), Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// The metadata carry the version that was read: of two who write, one fails.
    async fn put(&self, mut lease: Lease, create: bool) -> kube::Result<()> {
        let parameters = PostParams::default();
        if create {
            lease.metadata.name = Some(self.name.clone());
            self.api.create(&parameters, &lease).await?;
        } else {
            self.api.replace(&self.name, &parameters, &lease).await?;
        }
        Ok(())
    }

    async fn release(self) {
        if !self.lead(false) {
            return;
        }
        let given_back = async {
            let mut lease = self.api.get(&self.name).await?;
            if let Some(spec) = lease
                .spec
                .as_mut()
                .filter(|spec| spec.holder_identity.as_deref() == Some(self.identity.as_str()))
            {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
                self.put(lease, false).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match given_back.await {
            Ok(()) => tracing::info!("the Lease is given back"),
            Err(error) => tracing::warn!(%error, "the Lease could not be given back; it runs out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, seconds: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(seconds),
            lease_transitions: Some(4),
            acquire_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn the_lease_is_taken_from_nobody_who_renews() {
        let check = |spec: Option<LeaseSpec>, seconds, wanted| {
            let step = step(spec.as_ref(), "me", Duration::from_secs(seconds));
            assert_eq!(step, wanted, "{spec:?} unchanged for {seconds} s");
        };
        check(None, 0, Step::Create);
        check(Some(lease("me", 10)), 100, Step::Renew);
        check(Some(lease("other", 10)), 9, Step::Wait);
        check(Some(lease("other", 10)), 10, Step::Take);
        check(Some(lease("other", 30)), 10, Step::Wait);
        check(Some(lease("", 1)), 0, Step::Take);
        check(Some(LeaseSpec::default()), 0, Step::Take);
    }

    #[test]
    fn a_renewal_keeps_the_time_it_was_taken_and_a_turn_is_counted() {
        let now = Timestamp::now();
        let renewed = held(Some(&lease("me", 10)), "me", now);
        assert_eq!(renewed.acquire_time, Some(MicroTime(Timestamp::UNIX_EPOCH)));
        assert_eq!(
            (renewed.lease_transitions, renewed.renew_time),
            (Some(4), Some(MicroTime(now)))
        );
        let taken = held(Some(&lease("other", 10)), "me", now);
        assert_eq!(
            (taken.lease_transitions, taken.acquire_time),
            (Some(5), Some(MicroTime(now)))
        );
        assert_eq!(held(None, "me", now).lease_transitions, Some(0));
    }

    #[test]
    fn a_holder_stops_before_others_may_start() {
        assert!(RENEW_DEADLINE + PERIOD + CALL <= DURATION);
        assert!(DURATION + PERIOD + CALL < Duration::from_secs(15));
    }
}
