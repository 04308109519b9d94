//! One name in DNS: what it may mean in full, both families, and whether nobody knows or there is nothing.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{LocalBoxFuture, select},
};
use hickory_resolver::{TokioResolver, lookup::Lookup, net::NetError, proto::rr::Name};
use tokio::time::timeout;

use super::Found;

/// When the addresses of one family are known, those of the other are waited for so long.
const OTHER_FAMILY: Duration = Duration::from_millis(500);

/// Whom to ask how.
pub(super) struct Dns {
    pub(super) resolver: TokioResolver,
    /// What names that have too few dots are completed with.
    pub(super) search: Vec<Name>,
    /// A name with so many dots is asked for as it is first.
    pub(super) ndots: usize,
}

impl Dns {
    /// One complete name after another, until one has addresses. That there are none is said only when nothing has
    /// failed: the name that failed may be the one that has some.
    pub(super) async fn find(&self, name: &Name) -> Found {
        let mut failed = None;
        for name in self.complete(name) {
            match self.ask(name).await {
                Found::Nothing => {}
                Found::Failed(error) => failed = Some(error),
                found @ Found::Addresses(..) => return found,
            }
        }
        failed.map_or(Found::Nothing, Found::Failed)
    }

    /// The complete names that a name may mean, in order: as it is first, if it has enough dots, else last.
    fn complete(&self, name: &Name) -> Vec<Name> {
        let mut absolute = name.clone();
        absolute.set_fqdn(true);
        if name.is_fqdn() {
            return vec![absolute];
        }
        let dots = usize::from(name.num_labels()).saturating_sub(1);
        let searched = self.search.iter();
        let searched = searched.filter_map(|domain| {
            let mut name = name.clone().append_domain(domain).ok()?;
            name.set_fqdn(true);
            Some(name)
        });
        let mut all: Vec<_> = searched.collect();
        let place = if dots >= self.ndots { 0 } else { all.len() };
        all.insert(place, absolute);
        all
    }

    /// Addresses of both families, asked for at once.
    async fn ask(&self, name: Name) -> Found {
        type Asked<'a> = LocalBoxFuture<'a, Result<Lookup, NetError>>;
        let v6: Asked<'_> = self.resolver.ipv6_lookup(name.clone()).boxed_local();
        let v4: Asked<'_> = self.resolver.ipv4_lookup(name).boxed_local();
        let (first, other) = select(v6, v4).await.factor_first();
        let first = found(first);
        let other = match &first {
            Found::Addresses(..) => timeout(OTHER_FAMILY, other).await.ok(),
            Found::Nothing | Found::Failed(_) => Some(other.await),
        };
        match (first, other.map(found)) {
            (Found::Addresses(mut all, holds), Some(Found::Addresses(more, other))) => {
                all.extend(more);
                Found::Addresses(all, holds.min(other))
            }
            (found @ Found::Addresses(..), _) | (_, Some(found @ Found::Addresses(..))) => found,
            (Found::Failed(error), _) | (_, Some(Found::Failed(error))) => Found::Failed(error),
            (Found::Nothing, _) => Found::Nothing,
        }
    }
}

fn found(answer: Result<Lookup, NetError>) -> Found {
    match answer {
        Ok(lookup) => {
            let addresses = addresses(&lookup);
            let holds = lookup
                .valid_until()
                .saturating_duration_since(Instant::now());
            if addresses.is_empty() {
                Found::Nothing
            } else {
                Found::Addresses(addresses, holds)
            }
        }
        Err(error) if error.is_no_records_found() => Found::Nothing,
        Err(error) => Found::Failed(error.to_string()),
    }
}

/// The addresses in an answer.
pub(super) fn addresses(lookup: &Lookup) -> Vec<IpAddr> {
    let records = lookup.answers().iter();
    records.filter_map(|record| record.data.ip_addr()).collect()
}
